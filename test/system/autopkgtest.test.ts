// packaging/debian/tests, by autopkgtest, in a chroot without network.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { copyFileSync, cpSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { openChroot } from '../support/chroot.ts';
import { buildStandIn, deb, version } from '../support/debs.ts';
import { place, scratch } from '../support/harness.ts';
import { repository } from '../support/repository.ts';

test('the tests of the package pass in a clean Debian, by autopkgtest', t => {
  const { root, run } = openChroot(t, 'bookworm', ['wget']);
  buildStandIn(join(root, 'root/tool.deb'), 'ntpsec-ntpdig');
  copyFileSync(deb, join(root, 'root/tklbam-hooks.deb'));
  const installed = run(['dpkg', '-i', '/root/tool.deb', '/root/tklbam-hooks.deb']);
  assert.equal(installed.status, 0, installed.stderr);
  const base = scratch(t);
  const source = join(base, 'source');
  mkdirSync(source);
  cpSync(join(repository, 'packaging'), source, { recursive: true });
  place(
    join(source, 'debian'),
    'changelog',
    `tklbam-hooks (${version}) unstable; urgency=medium\n\n  * Tested.\n\n -- nobody <nobody@localhost>  Wed, 25 Nov 2026 00:00:00 +0000\n`,
    0o644,
  );
  // What a build leaves: nothing is to be built.
  place(join(source, 'debian'), 'files', '');
  // It is not to set the clock.
  const separate = [
    'setpriv',
    '--bounding-set=-sys_time',
    '--inh-caps=-sys_time',
    'unshare',
    '--net',
    '--mount',
  ];
  const command = ['autopkgtest', source, '--', 'chroot', root];
  const { status, stdout, stderr } = spawnSync('env', [...separate, ...command], {
    encoding: 'utf8',
    env: { ...process.env, LC_ALL: 'C.UTF-8' },
    timeout: 1_800_000,
  });
  assert.equal(status, 0, stdout + stderr);
  assert.match(stdout, /^backup +PASS$/m);
  assert.match(stdout, /^completion +PASS \(superficial\)$/m);
});
