// npm run repository -- DIR --key KEY... --url URL [--valid-days DAYS]: makes DIR a signed apt repository of the packages in dist/, or
// adds them to the one it is. DIR is a plain directory, for any web server. KEY is one of gpg's; with several, all sign, and
// clients get all: so one is rolled over.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { gzipSync } from 'node:zlib';

const SUITES = ['bullseye', 'bookworm', 'trixie'];
const ARCHITECTURES = ['amd64', 'arm64'];
const KEYRING_PACKAGE = 'tklbam-hooks-archive-keyring';
const KEYRING = `/usr/share/keyrings/${KEYRING_PACKAGE}.gpg`;
const USAGE = 'usage: npm run repository -- DIR --key KEY [--key KEY]... --url URL [--valid-days DAYS]';

const { name, version } = JSON.parse(readFileSync('package.json', 'utf8'));
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    key: { type: 'string', multiple: true, default: [] },
    url: { type: 'string' },
    'valid-days': { type: 'string', default: '90' },
  },
});
const { key: keys, url, 'valid-days': validDays } = values;
const [directory, ...others] = positionals;
if (directory === undefined || others.length > 0 || keys.length === 0 || url === undefined)
  throw new Error(USAGE);
if (!/^https?:\/\/\S+$/.test(url)) throw new Error(`'${url}' is no URL that apt could read: https://…`);
if (!/^[1-9]\d{0,3}$/.test(validDays)) throw new Error(`--valid-days ${validDays}: a number of days`);

const now = new Date(
  process.env.SOURCE_DATE_EPOCH === undefined ? Date.now() : Number(process.env.SOURCE_DATE_EPOCH) * 1000,
);
const pool = join(directory, 'pool/main');
const scratch = mkdtempSync(join(tmpdir(), 'tklbam-hooks-repository-'));
try {
  // The modes are a web server's to read, whatever the umask.
  process.umask(0o022);
  mkdirSync(pool, { recursive: true });
  // First: without a key that can sign, nothing is changed.
  const keyring = exportKeys();
  sign(join(scratch, 'probe'), 'probe');
  const products = readdirSync('dist').filter(
    file => file.startsWith(`${name}_${version}_`) && file.endsWith('.deb'),
  );
  if (products.length === 0)
    throw new Error(`there is no package of ${version} in dist: run 'npm run deb' first`);
  for (const product of products) add(join('dist', product));
  addKeyring(keyring);
  // The same packages for each suite.
  const lists = new Map(
    ARCHITECTURES.map(each => [each, ftparchive(['--arch', each, 'packages', 'pool'])] as const),
  );
  for (const suite of SUITES) writeSuite(suite, lists);
  writeSources(keyring);
} finally {
  rmSync(scratch, { recursive: true });
}
process.stdout.write(
  `${directory}: ${readdirSync(pool).length} packages; clients refuse it after ${validDays} days, unless this is run again\n`,
);

function gpg(args: readonly string[], input: string | Buffer = ''): Buffer {
  return execFileSync('gpg', ['--batch', '--no-tty', '--quiet', ...args], {
    input,
    stdio: ['pipe', 'pipe', 'inherit'],
    maxBuffer: 64 << 20,
  });
}

/** The public parts, one after the other, without what others have signed of them. */
function exportKeys(): Buffer {
  const exported = keys.map(key => {
    const bytes = gpg(['--export', '--export-options', 'export-minimal', '--', key]);
    if (bytes.length === 0) throw new Error(`gpg has no key '${key}'`);
    return bytes;
  });
  return Buffer.concat(exported);
}

function sign(file: string, text: string): void {
  const signers = keys.flatMap(key => ['--local-user', key]);
  const digest = ['--digest-algo', 'SHA512'];
  writeFileSync(`${file}.new`, gpg([...signers, ...digest, '--clear-sign'], text));
  renameSync(`${file}.new`, file);
}

/** A package is never replaced by another of its version: clients would find another checksum. */
function add(file: string): void {
  const there = join(pool, basename(file));
  if (existsSync(there)) {
    if (readFileSync(there).equals(readFileSync(file))) return;
    throw new Error(
      `${there} is of the same version as ${file}, and another: give the new one a new version`,
    );
  }
  copyFileSync(file, `${there}.new`);
  renameSync(`${there}.new`, there);
}

/** A new version of the package with the keys, if they are not those of the newest one. */
function addKeyring(keyring: Buffer): void {
  const newest = readdirSync(pool)
    .filter(file => file.startsWith(`${KEYRING_PACKAGE}_`))
    .sort()
    .at(-1);
  if (newest !== undefined) {
    const tree = join(scratch, 'newest');
    execFileSync('dpkg-deb', ['--extract', join(pool, newest), tree]);
    if (readFileSync(join(tree, KEYRING)).equals(keyring)) return;
  }
  // Of the day, and within it of the second, so that each is newer than the one before.
  const number = now.toISOString().replace(/\..*/, '').replaceAll(/[-:]/g, '').replace('T', '.');
  const tree = join(scratch, 'keyring');
  const put = (path: string, content: string | Buffer): void => {
    mkdirSync(join(tree, path, '..'), { recursive: true });
    writeFileSync(join(tree, path), content);
  };
  const [, maintainer = ''] =
    /^Maintainer: (.*)$/m.exec(readFileSync('packaging/debian/control', 'utf8')) ?? [];
  put(KEYRING, keyring);
  put(`usr/share/doc/${KEYRING_PACKAGE}/copyright`, 'Keys are facts: nobody claims a copyright on them.\n');
  put(
    'DEBIAN/control',
    `Package: ${KEYRING_PACKAGE}
Version: ${number}
Architecture: all
Maintainer: ${maintainer}
Section: misc
Priority: optional
Description: keys of the apt repository of tklbam-hooks
 The keys that the repository is signed with, those of tomorrow included. With
 this package, apt goes on to trust it when a key is replaced.
`,
  );
  const built = join(scratch, `${KEYRING_PACKAGE}_${number}_all.deb`);
  execFileSync('dpkg-deb', ['--root-owner-group', '--build', tree, built], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, SOURCE_DATE_EPOCH: String(Math.floor(now.getTime() / 1000)) },
  });
  add(built);
}

function ftparchive(args: readonly string[]): Buffer {
  return execFileSync('apt-ftparchive', args, { cwd: directory, maxBuffer: 64 << 20 });
}

/** The lists of a suite. InRelease last: until then, clients find by its hash what the one before names. */
function writeSuite(suite: string, lists: ReadonlyMap<string, Buffer>): void {
  const dist = `dists/${suite}`;
  for (const [architecture, packages] of lists) {
    const binary = `${dist}/main/binary-${architecture}`;
    for (const [list, bytes] of [
      ['Packages', packages],
      ['Packages.gz', gzipSync(packages)],
    ] as const) {
      put(`${binary}/${list}`, bytes);
      put(`${binary}/by-hash/SHA256/${createHash('sha256').update(bytes).digest('hex')}`, bytes);
    }
  }
  const until = new Date(now.getTime() + Number(validDays) * 86_400_000);
  const fields = {
    Origin: name,
    Label: name,
    Suite: suite,
    Codename: suite,
    Architectures: ARCHITECTURES.join(' '),
    Components: 'main',
  };
  const release = ftparchive([
    ...Object.entries(fields).flatMap(([field, value]) => [
      '-o',
      `APT::FTPArchive::Release::${field}=${value}`,
    ]),
    ...['MD5', 'SHA1', 'SHA512'].flatMap(sum => ['-o', `APT::FTPArchive::${sum}=false`]),
    ...['release', dist],
  ])
    .toString()
    .replace(/^Date: .*$/m, `Date: ${rfc2822(now)}\nValid-Until: ${rfc2822(until)}\nAcquire-By-Hash: yes`)
    // The lists by their hash are no files of their own.
    .replaceAll(/^ \S+ +\d+ (?:\S*\/by-hash\/\S*|(?:In)?Release(?:\.gpg)?)\n/gm, '');
  sign(join(directory ?? '', dist, 'InRelease'), release);
}

function rfc2822(date: Date): string {
  return date.toUTCString().replace('GMT', 'UTC');
}

function put(path: string, bytes: string | Buffer): void {
  const file = join(directory ?? '', path);
  mkdirSync(join(file, '..'), { recursive: true });
  writeFileSync(`${file}.new`, bytes);
  renameSync(`${file}.new`, file);
}

/** What administrators fetch: the keys, and for each suite the source of apt, also with the keys in it (apt 2.4 or newer). */
function writeSources(keyring: Buffer): void {
  put(`${KEYRING_PACKAGE}.gpg`, keyring);
  const armored = gpg([
    '--export',
    '--armor',
    '--export-options',
    'export-minimal',
    '--',
    ...keys,
  ]).toString();
  const block = armored
    .trimEnd()
    .split('\n')
    .map(line => `\n ${line === '' ? '.' : line}`);
  for (const suite of SUITES) {
    const source = `Types: deb\nURIs: ${url}\nSuites: ${suite}\nComponents: main\nSigned-By:`;
    put(`${suite}/tklbam-hooks.sources`, `${source} ${KEYRING}\n`);
    put(`${suite}/key-inside/tklbam-hooks.sources`, `${source}${block.join('')}\n`);
  }
}
