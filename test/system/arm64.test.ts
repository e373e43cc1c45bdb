// The package for arm64, made on another machine and run under emulation. What meets the kernel there is the emulator's, and tells
// nothing: CONTRIBUTING.md has the list.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { openArm64Chroot, SOURCE } from '../support/chroot.ts';
import { buildStandIn, version } from '../support/debs.ts';
import { place } from '../support/harness.ts';
import { addressOf, fromReadme, openPublisher } from '../support/publisher.ts';
import { repository } from '../support/repository.ts';

const deb = join(repository, `dist/tklbam-hooks_${version}_arm64.deb`);
let said = '';

before(() => {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['build/deb.ts', '--arch', 'arm64'], {
    cwd: repository,
    encoding: 'utf8',
    maxBuffer: 64 << 20,
  });
  assert.equal(status, 0, stdout + stderr);
  said = stdout + stderr;
});

test('the package for arm64 is made on this machine, with compiled code', () => {
  assert.doesNotMatch(said, /without compiled code/);
  assert.equal(execFileSync('dpkg-deb', ['--field', deb, 'Architecture'], { encoding: 'utf8' }), 'arm64\n');
  const program = join(repository, 'dist/tklbam-hooks-arm64');
  const header = execFileSync('readelf', ['--file-header', program], { encoding: 'utf8' });
  assert.match(header, /Machine: +AArch64\n/);
});

test('README installs it with apt on Debian for arm64; it runs hooks, a session, and recovers one', async t => {
  const { directory, publish } = await openPublisher(t, [deb]);
  publish({ versions: [version] });
  const { root, run } = openArm64Chroot(t, 'bookworm', ['wget']);
  const attempt = (command: string, env: Readonly<Record<string, string>> = {}) => {
    const { status, stdout, stderr } = run(['sh', '-ec', command], {
      network: 'host',
      env: { no_proxy: '127.0.0.1', ...env },
    });
    return { status, output: stdout + stderr };
  };
  const done = (command: string, env: Readonly<Record<string, string>> = {}): string => {
    const { status, output } = attempt(command, env);
    assert.equal(status, 0, `${command}\n${output}`);
    return output;
  };
  place(join(root, 'etc/apt/apt.conf.d'), '99loopback', 'Acquire::http::Proxy::127.0.0.1 "DIRECT";\n', 0o644);
  buildStandIn(join(root, 'root/tool.deb'), 'ntpsec-ntpdig');
  done('dpkg -i /root/tool.deb');

  await t.test('apt installs it', () => {
    done(fromReadme(addressOf(directory)));
    assert.equal(done('uname -m; dpkg --print-architecture'), 'aarch64\narm64\n');
    assert.equal(done('tklbam-hooks --version'), `tklbam-hooks ${version}\n`);
    assert.equal(done('dpkg -V tklbam-hooks'), '');
    assert.match(done('tklbam-hooks list'), / enabled +fixclock\n/);
  });

  await t.test('the core of the end-to-end suite', () => {
    const [base = ''] = readdirSync(join(repository, 'dist')).filter(name =>
      name.startsWith('node-linux-arm64'),
    );
    const patterns = [
      'a hook gets its path',
      'a script without #!',
      'environment is the caller',
      'pre stops at the first failure',
      'post runs all',
      'list shows every entry',
      'runs those alone',
    ].map(pattern => `--test-name-pattern='${pattern}'`);
    const command = [
      `${SOURCE}/dist/${base}/bin/node --test --test-isolation=none --test-reporter=tap`,
      ...patterns,
      `${SOURCE}/test/cli/e2e.test.ts`,
    ].join(' ');
    const output = done(command, {
      TKLBAM_HOOKS_TEST_PROGRAM: '/usr/bin/tklbam-hooks',
      XDG_CACHE_HOME: '/root/cache',
    });
    assert.match(output, new RegExp(`^# pass ${patterns.length}$`, 'm'), output);
  });

  await t.test('a session tells its hooks, and one that was cut off is recovered', () => {
    place(
      join(root, 'etc/tklbam/hooks.d'),
      'service',
      '#!/bin/sh\necho "$1 $2: $TKLBAM_HOOK_ERROR" >>/root/told\n',
    );
    done('chmod -x /etc/tklbam/hooks.d/fixclock; tklbam-hooks wrap backup -- true');
    assert.equal(attempt('tklbam-hooks wrap backup -- false').status, 1);
    assert.equal(attempt('tklbam-hooks wrap backup -- sh -c \'kill -s KILL "$PPID"\'').status, 137);
    done('tklbam-hooks recover');
    assert.match(
      readFileSync(join(root, 'root/told'), 'utf8'),
      /^backup pre: \nbackup post: \nbackup pre: \nbackup error: .*'false'.*\nbackup pre: \nbackup error: the backup was cut off .*\n$/,
    );
    assert.match(done('tklbam-hooks status'), /^backup 'sh': FAILED/);
    done('dpkg --purge tklbam-hooks');
  });
});
