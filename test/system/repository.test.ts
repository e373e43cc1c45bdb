// The apt repository: real apt, from a real web server on loopback.
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { createInterface } from 'node:readline';
import { type TestContext, test } from 'node:test';
import { openChroot } from '../support/chroot.ts';
import { buildTklbam, deb, repack, version } from '../support/debs.ts';
import { place, scratch } from '../support/harness.ts';
import { installationLines } from '../support/readme.ts';
import { repository } from '../support/repository.ts';

const LAST = '1.1.0';
const SOURCES = '/etc/apt/sources.list.d/tklbam-hooks.sources';

interface Publisher {
  readonly directory: string;
  /** Makes the repository anew. Without options: of both versions, signed by the first key, now. */
  readonly publish: (options?: Edition) => void;
}
interface Edition {
  readonly versions?: readonly string[];
  readonly keys?: readonly string[];
  /** When, in seconds. */
  readonly epoch?: number;
}

/** The repository, on a web server, with the package and the one before it: as that was, but for its age the same. */
async function openPublisher(t: TestContext): Promise<Publisher> {
  const base = scratch(t);
  const directory = join(base, 'public');
  mkdirSync(directory);
  const sources = (number: string): string => join(base, `source-${number}`);
  for (const number of [LAST, version]) {
    const source = sources(number);
    mkdirSync(join(source, 'dist'), { recursive: true });
    cpSync(join(repository, 'packaging/debian'), join(source, 'packaging/debian'), { recursive: true });
    place(source, 'package.json', JSON.stringify({ name: 'tklbam-hooks', version: number }));
    const product = join(source, 'dist', basename(deb).replace(version, number));
    if (number === version) copyFileSync(deb, product);
    else repack(deb, product, makeOlder);
  }
  const gnupg = join(base, 'gnupg');
  mkdirSync(gnupg, { mode: 0o700 });
  const env = { ...process.env, GNUPGHOME: gnupg };
  for (const key of ['first', 'second']) {
    const make = [
      '--batch',
      '--quiet',
      '--passphrase',
      '',
      '--quick-generate-key',
      key,
      'ed25519',
      'sign',
      'never',
    ];
    execFileSync('gpg', make, { env, stdio: 'pipe' });
  }
  t.after(() => spawnSync('gpgconf', ['--kill', 'all'], { env }));

  const server = spawn('python3', ['-u', '-m', 'http.server', '0', '--bind', '127.0.0.1'], {
    cwd: directory,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  t.after(() => server.kill());
  let port = '';
  for await (const line of createInterface(server.stdout)) {
    port = /port (\d+)/.exec(line)?.[1] ?? '';
    break;
  }
  const url = `http://127.0.0.1:${port}`;
  const publish = ({ versions = [LAST, version], keys = ['first'], epoch }: Edition = {}): void => {
    for (const each of readdirSync(directory)) rmSync(join(directory, each), { recursive: true });
    for (const number of versions) {
      const { status, stderr } = runRepository(
        sources(number),
        [directory, '--url', url, ...keys.flatMap(key => ['--key', key])],
        epoch === undefined ? env : { ...env, SOURCE_DATE_EPOCH: String(epoch) },
      );
      assert.equal(status, 0, stderr);
    }
  };
  return { directory, publish };
}

const runRepository = (cwd: string, args: readonly string[], env: NodeJS.ProcessEnv) =>
  spawnSync(process.execPath, [join(repository, 'build/repository.ts'), ...args], {
    cwd,
    env,
    encoding: 'utf8',
  });

/** With its unit where it was. */
function makeOlder(tree: string): void {
  const control = join(tree, 'DEBIAN/control');
  writeFileSync(control, readFileSync(control, 'utf8').replace(/^Version: .*/m, `Version: ${LAST}`));
  mkdirSync(join(tree, 'lib'));
  renameSync(join(tree, 'usr/lib/systemd'), join(tree, 'lib/systemd'));
}

/** README's lines for the administrator, with an address in place of the one there. */
function fromReadme(url: string): string {
  return installationLines()
    .join('\n')
    .replaceAll('https://apt.example.com', url)
    .replaceAll('apt install', 'apt-get install -y -qq');
}

/** Of Debian's packages, the one that is not there. */
function standIn(file: string, name: string): void {
  repack(deb, file, tree => {
    for (const each of readdirSync(tree)) rmSync(join(tree, each), { recursive: true });
    mkdirSync(join(tree, 'DEBIAN'));
    const fields = [
      'Version: 9',
      'Architecture: all',
      'Maintainer: nobody <nobody@localhost>',
      'Description: stand-in',
    ];
    place(join(tree, 'DEBIAN'), 'control', `${[`Package: ${name}`, ...fields].join('\n')}\n`, 0o644);
  });
}

/** Changes a byte in the middle. */
function spoil(file: string): void {
  const bytes = readFileSync(file);
  const middle = bytes.length >> 1;
  bytes.writeUInt8((bytes[middle] ?? 0) ^ 1, middle);
  writeFileSync(file, bytes);
}

test('apt installs from the repository, upgrades, and believes nobody else', async t => {
  const { directory, publish } = await openPublisher(t);
  for (const suite of ['bookworm']) {
    await t.test(suite, t => {
      const chroot = openChroot(t, suite, ['wget']);
      const run = (command: string) => {
        const { status, stdout, stderr } = chroot.run(['sh', '-ec', command], { network: 'host' });
        return { status, output: stdout + stderr };
      };
      const done = (command: string): string => {
        const { status, output } = run(command);
        assert.equal(status, 0, `${command}\n${output}`);
        return output;
      };
      const fails = (command: string, words: RegExp): void => {
        const { status, output } = run(command);
        assert.notEqual(status, 0, `${command}\n${output}`);
        assert.match(output, words);
      };
      const apt = join(chroot.root, 'etc/apt');
      const update = 'rm -rf /var/lib/apt/lists/*; apt-get update';
      const install = 'apt-get clean; apt-get install -y -qq tklbam-hooks';
      place(join(apt, 'apt.conf.d'), '99loopback', 'Acquire::http::Proxy::127.0.0.1 "DIRECT";\n', 0o644);
      standIn(join(chroot.root, 'root/tool.deb'), suite === 'bullseye' ? 'sntp' : 'ntpsec-ntpdig');
      done('dpkg -i /root/tool.deb');

      publish({ versions: [LAST] });
      const { URIs: url = '' } = Object.fromEntries(
        readFileSync(join(directory, `${suite}/tklbam-hooks.sources`), 'utf8')
          .split('\n')
          .map(line => line.split(': ')),
      );
      done(fromReadme(url));
      assert.match(done('dpkg-query -W tklbam-hooks'), /\t1\.1\.0\n/);
      assert.equal(done('tklbam-hooks --version'), `tklbam-hooks ${version}\n`);

      publish();
      done('apt-get update && apt-get upgrade -y -qq');
      assert.equal(done('dpkg-query -W tklbam-hooks'), `tklbam-hooks\t${version}\n`);
      assert.equal(done('dpkg -V tklbam-hooks tklbam-hooks-archive-keyring'), '');
      const unit = 'systemd/system/tklbam-hooks-recover.service';
      assert.ok(existsSync(join(chroot.root, 'usr/lib', unit)));
      assert.equal(
        done(`readlink /etc/systemd/system/multi-user.target.wants/${basename(unit)}`).replace('/usr', ''),
        `/lib/${unit}\n`,
      );

      const pin = (line: string, priority: number): void =>
        place(
          join(apt, 'preferences.d'),
          'pin',
          `Package: tklbam-hooks\nPin: ${line}\nPin-Priority: ${priority}\n`,
          0o644,
        );
      done('dpkg --purge tklbam-hooks');
      pin('release o=tklbam-hooks', -1);
      fails(install, /no installation candidate/);
      pin(`version ${LAST}`, 1001);
      assert.match(done('apt-cache policy tklbam-hooks'), /Candidate: 1\.1\.0\n/);
      rmSync(join(apt, 'preferences.d/pin'));

      for (const name of ['tklbam', 'tklbam3'] as const) {
        done(`dpkg -i /root/${basename(buildTklbam(join(chroot.root, 'root'), '1.0', { name }))}`);
      }
      done(install);
      assert.equal(done('dpkg -V tklbam3 tklbam-hooks'), '');
      // dpkg keeps the checksum of a conffile that another package has replaced.
      assert.match(run('dpkg -V tklbam').output, /^(?:\S+ c \/etc\/tklbam\/hooks\.d\/fixclock\n)?$/);
      done('dpkg --purge tklbam-hooks');

      spoil(join(directory, 'pool/main', basename(deb)));
      fails(install, /Hash Sum mismatch|unexpected size/);
      publish();
      const lists = join(directory, `dists/${suite}/main/binary-amd64`);
      for (const file of readdirSync(lists, { recursive: true, encoding: 'utf8' })) {
        if (!file.includes('by-hash') || file.length > 64) spoil(join(lists, file));
      }
      fails(update, /Hash Sum mismatch|unexpected size/);
      publish();
      const release = join(directory, `dists/${suite}/InRelease`);
      const signed = readFileSync(release, 'utf8');
      writeFileSync(release, signed.replace('Components: main', 'Components: mane'));
      fails(update, /BADSIG|invalid|Bad/);
      writeFileSync(
        release,
        signed.replace(/[\s\S]*?\n\n([\s\S]*)\n-----BEGIN PGP SIGNATURE[\s\S]*/, '$1\n'),
      );
      fails(update, /is not signed|Clearsigned/);
      publish({ keys: ['second'] });
      fails(update, /NO_PUBKEY|is not signed|Missing key/);
      publish({ epoch: 1_700_000_000 });
      fails(update, /expired/);

      // A key is rolled over: who has the package of the keys follows.
      publish({ keys: ['first', 'second'] });
      done(`${update} && apt-get install -y -qq tklbam-hooks-archive-keyring`);
      publish({ keys: ['second'] });
      done(update);

      if (suite !== 'bullseye') {
        copyFileSync(join(directory, `${suite}/key-inside/tklbam-hooks.sources`), join(chroot.root, SOURCES));
        done(`dpkg --purge tklbam-hooks-archive-keyring; ${update}`);
      }
    });
  }
});

test('a repository is not made without a key, and no package is replaced', t => {
  const base = scratch(t);
  mkdirSync(join(base, 'dist'));
  place(base, 'package.json', JSON.stringify({ name: 'tklbam-hooks', version }));
  const gnupg = join(base, 'gnupg');
  mkdirSync(gnupg, { mode: 0o700 });
  const run = (...args: string[]) => runRepository(base, args, { ...process.env, GNUPGHOME: gnupg });
  const options = ['--url', 'https://example.com'];
  assert.match(run('new', ...options).stderr, /usage: npm run repository -- DIR --key KEY/);
  assert.match(run('new', '--key', 'nobody', ...options).stderr, /gpg has no key 'nobody'/);
  assert.deepEqual(existsSync(join(base, 'new/dists')), false);
  assert.deepEqual(
    readdirSync(gnupg).filter(file => file.includes('private-keys')),
    [],
  );
});
