// The apt repository: real apt, from a real web server on loopback.
import assert from 'node:assert/strict';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { openChroot } from '../support/chroot.ts';
import { buildStandIn, buildTklbam, deb, version } from '../support/debs.ts';
import { place, scratch } from '../support/harness.ts';
import { addressOf, fromReadme, LAST, openPublisher, runRepository } from '../support/publisher.ts';

const SOURCES = '/etc/apt/sources.list.d/tklbam-hooks.sources';

/** Changes a byte in the middle. */
function spoil(file: string): void {
  const bytes = readFileSync(file);
  const middle = bytes.length >> 1;
  bytes.writeUInt8((bytes[middle] ?? 0) ^ 1, middle);
  writeFileSync(file, bytes);
}

test('apt installs from the repository, upgrades, and believes nobody else', async t => {
  const { directory, publish } = await openPublisher(t);
  for (const suite of ['bullseye', 'bookworm', 'trixie']) {
    await t.test(suite, t => {
      const chroot = openChroot(t, suite, ['wget']);
      const run = (command: string) => {
        const { status, stdout, stderr } = chroot.run(['sh', '-ec', command], {
          network: 'host',
          // Of wget; apt has its own below.
          env: { no_proxy: '127.0.0.1' },
        });
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
      buildStandIn(join(chroot.root, 'root/tool.deb'), suite === 'bullseye' ? 'sntp' : 'ntpsec-ntpdig');
      done('dpkg -i /root/tool.deb');

      publish({ versions: [LAST] });
      done(fromReadme(addressOf(directory)));
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
      assert.equal(done('dpkg -V tklbam tklbam3 tklbam-hooks'), '');
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
      fails(update, /BADSIG|invalid|Bad|manipulated/);
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
