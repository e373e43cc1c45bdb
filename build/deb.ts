// dist/tklbam-hooks_VERSION_ARCH.deb: the built executable and the files of packaging/ and hooks.d/, by debhelper. With --arch
// arm64 on an amd64 machine, or the other way round, it builds that executable too.
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { wrap } from '../src/cli/text.ts';
import { completions } from './completions.ts';
import { billOfMaterials, licences, partsOf } from './parts.ts';
import { readTarget } from './target.ts';

const { name, version } = JSON.parse(readFileSync('package.json', 'utf8'));
const target = readTarget();
const { executable } = target;

/**
 * The newest symbol versions that the minimum versions of Depends in packaging/debian/control hold: libc6 2.28; libstdc++6 7
 * (its `symbols` file in Debian); libgcc-s1, which there is only since GCC 10.
 */
const PROVIDED: Readonly<Record<string, string>> = {
  GLIBC: '2.28',
  GLIBCXX: '3.4.23',
  CXXABI: '1.3.11',
  GCC: '7.0.0',
};
const LIBRARIES =
  /^(?:ld-linux-[a-z0-9-]+\.so\.[12]|lib(?:c|m)\.so\.6|lib(?:dl|rt)\.so\.[12]|libpthread\.so\.0|libstdc\+\+\.so\.6|libgcc_s\.so\.1)$/;

/** What the package holds, apart from directories, with the modes of dpkg-deb's listing. */
const CONTENTS: Readonly<Record<string, string>> = {
  './etc/default/tklbam-hooks': '-rw-r--r--',
  './etc/logrotate.d/tklbam-hooks': '-rw-r--r--',
  // One is enabled.
  ...Object.fromEntries(
    readdirSync('hooks.d').map(file => [
      `./etc/tklbam/hooks.d/${file}`,
      file === 'fixclock' ? '-rwxr-xr-x' : '-rw-r--r--',
    ]),
  ),
  './usr/bin/tklbam-hooks': '-rwxr-xr-x',
  './usr/lib/systemd/system/tklbam-hooks-recover.service': '-rw-r--r--',
  './usr/share/bash-completion/completions/tklbam-hooks': '-rw-r--r--',
  './usr/share/doc/tklbam-hooks/changelog.gz': '-rw-r--r--',
  './usr/share/doc/tklbam-hooks/copyright': '-rw-r--r--',
  ...Object.fromEntries(
    readdirSync('packaging/examples', { recursive: true, encoding: 'utf8' })
      .filter(file => !statSync(join('packaging/examples', file)).isDirectory())
      // Hooks, and what is for other machines.
      .map(file => [
        `./usr/share/doc/tklbam-hooks/examples/${file}`,
        file.startsWith('fleet/') ? '-rw-r--r--' : '-rwxr-xr-x',
      ]),
  ),
  './usr/share/doc/tklbam-hooks/sbom.cdx.json.gz': '-rw-r--r--',
  './usr/share/doc/tklbam-hooks/third-party-licences.gz': '-rw-r--r--',
  './usr/share/fish/vendor_completions.d/tklbam-hooks.fish': '-rw-r--r--',
  './usr/share/lintian/overrides/tklbam-hooks': '-rw-r--r--',
  './usr/share/man/man5/tklbam-hooks.5.gz': '-rw-r--r--',
  './usr/share/man/man7/tklbam-hooks-protocol.7.gz': '-rw-r--r--',
  './usr/share/man/man8/tklbam-hooks.8.gz': '-rw-r--r--',
  './usr/share/tklbam-hooks/hooks.py': '-rw-r--r--',
  './usr/share/zsh/vendor-completions/_tklbam-hooks': '-rw-r--r--',
};

if (!target.native) {
  execFileSync(process.execPath, ['build/package.ts', '--arch', target.debian], { stdio: 'inherit' });
} else if (!existsSync(executable)) {
  throw new Error(`${executable} is missing: run 'npm run build' first`);
}
checkLibraries(executable);
// The modes in the package are not those that the umask left in the work tree.
process.umask(0o022);
const scratch = mkdtempSync(join(tmpdir(), 'tklbam-hooks-deb-'));
try {
  const stage = join(scratch, 'stage');
  lay(stage);
  const product = `${name}_${version}_${target.debian}.deb`;
  const options = ['--build=binary', '--no-sign', '--no-check-builddeps', `--host-arch=${target.debian}`];
  execFileSync('dpkg-buildpackage', options, {
    cwd: stage,
    stdio: 'inherit',
    // The date of the changelog's newest entry is the build's, unless SOURCE_DATE_EPOCH is set: dpkg-buildpackage sees to it.
    env: { ...process.env, LC_ALL: 'C.UTF-8' },
  });
  check(join(scratch, product));
  copyFileSync(join(scratch, product), join('dist', `${product}.new`));
  renameSync(join('dist', `${product}.new`), join('dist', product));
} finally {
  rmSync(scratch, { recursive: true });
}

/** The directory as packaging/debian/rules wants it, readable for all. */
function lay(stage: string): void {
  cpSync('packaging', stage, { recursive: true });
  cpSync('hooks.d', join(stage, 'hooks.d'), { recursive: true });
  copyFileSync(executable, join(stage, 'tklbam-hooks'));
  writeFileSync(
    join(stage, 'debian/changelog'),
    debianChangelog(readFileSync('CHANGELOG.md', 'utf8'), maintainer()),
  );
  rmSync(join(stage, 'completions'), { recursive: true });
  for (const [file, text] of Object.entries(completions())) {
    mkdirSync(join(stage, 'completions', file, '..'), { recursive: true });
    writeFileSync(join(stage, 'completions', file), text);
  }
  const parts = partsOf(target);
  writeFileSync(join(stage, 'third-party-licences'), licences(parts));
  writeFileSync(join(stage, 'sbom.cdx.json'), billOfMaterials(name, version, parts));
  chmodSync(join(stage, 'debian/rules'), 0o755);
}

function maintainer(): string {
  const [, found] = /^Maintainer: (.*)$/m.exec(readFileSync('packaging/debian/control', 'utf8')) ?? [];
  if (found === undefined) throw new Error('packaging/debian/control names no Maintainer');
  return found;
}

/** CHANGELOG.md as deb-changelog(5) has it. Its newest entry must be that of the version in package.json. */
function debianChangelog(markdown: string, author: string): string {
  const entries = markdown.split(/^## /m).slice(1);
  const newest = entries[0]?.split(' ')[0];
  if (newest !== version) {
    throw new Error(`CHANGELOG.md begins with ${newest ?? 'nothing'}, and package.json has ${version}`);
  }
  return entries
    .map(entry => {
      const [, number, date, text] = /^(\S+) - (\d{4}-\d\d-\d\d)\n(.*)$/s.exec(entry) ?? [];
      if (number === undefined || date === undefined || text === undefined) {
        throw new Error(`CHANGELOG.md: no entry 'VERSION - YYYY-MM-DD' in '${entry.split('\n')[0]}'`);
      }
      const items = text
        .replace(/^#.*\n/gm, '')
        .split(/^- /m)
        .map(item => item.replaceAll('`', "'").trim().replaceAll(/\s+/g, ' '))
        .filter(item => item !== '');
      const lines = items.flatMap(item =>
        wrap(item, 76).map((line, index) => `  ${index === 0 ? '* ' : '  '}${line}`),
      );
      const when = new Date(`${date}T00:00:00Z`).toUTCString().replace('GMT', '+0000');
      return `${name} (${number}) unstable; urgency=medium\n\n${lines.join('\n')}\n\n -- ${author}  ${when}\n`;
    })
    .join('\n');
}

/** Throws if the executable needs a library, or a version of one, that the package does not depend on. */
function checkLibraries(path: string): void {
  const read = (option: string): string =>
    execFileSync('readelf', ['--wide', option, path], {
      encoding: 'utf8',
      env: { ...process.env, LC_ALL: 'C' },
      maxBuffer: 64 << 20,
      // Warnings about the section that the program is in.
      stdio: ['ignore', 'pipe', 'ignore'],
    });
  const needed = [...read('--dynamic').matchAll(/\(NEEDED\).*\[(.*)\]/g)].map(([, library = '']) => library);
  if (needed.length === 0) throw new Error(`readelf finds no libraries in ${path}`);
  for (const library of needed) {
    if (!LIBRARIES.test(library)) throw new Error(`${path} needs ${library}: add it to Depends, and here`);
  }
  for (const [, symbols = '', number = ''] of read('--version-info').matchAll(/Name: ([A-Z]+)_([0-9.]+)/g)) {
    const limit = PROVIDED[symbols];
    if (limit === undefined || isNewer(number, limit)) {
      throw new Error(`${path} needs ${symbols}_${number}: raise the version in Depends, and here`);
    }
  }
}

function isNewer(left: string, right: string): boolean {
  return left.localeCompare(right, 'en', { numeric: true }) > 0;
}

/** Throws unless the package is the one that was meant. */
function check(path: string): void {
  const read = (option: string): string => execFileSync('dpkg-deb', [option, path], { encoding: 'utf8' });
  const info = read('--info');
  process.stdout.write(info);
  if (!info.includes(`\n Version: ${version}\n`)) throw new Error(`${path} is not version ${version}`);
  const listing = read('--contents')
    .trimEnd()
    .split('\n')
    .map(line => line.split(/\s+/));
  for (const [mode, owner, , , , file] of listing) {
    if (owner !== 'root/root') throw new Error(`${path}: ${file} is owned by ${owner}`);
    if (mode?.startsWith('d') && mode !== 'drwxr-xr-x') throw new Error(`${path}: ${file} has mode ${mode}`);
  }
  const modes = Object.fromEntries(
    listing.filter(([mode]) => !mode?.startsWith('d')).map(([mode, , , , , file]) => [file, mode]),
  );
  if (!isDeepStrictEqual(modes, CONTENTS)) {
    throw new Error(`${path} holds ${JSON.stringify(modes, undefined, 2)}`);
  }
  process.stdout.write(`dist/${path.split('/').at(-1)}: ${(statSync(path).size / 2 ** 20).toFixed(1)} MiB\n`);
}
