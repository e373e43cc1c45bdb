// The role for Ansible in packaging/examples/fleet, by Debian's ansible-core, on two machines.
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { openChroot, SOURCE } from '../support/chroot.ts';
import { openPublisher } from '../support/publisher.ts';
import { readmeBlock } from '../support/readme.ts';
import { RELEASES } from '../support/releases.ts';
import { assertSaid, textsOf } from '../support/transcript.ts';

const HOOKS = ['00-notify', '40-shop', 'cleanup', 'fixclock'];

// Debian 11 has no ansible-core.
for (const suite of RELEASES.filter(each => each !== 'bullseye')) {
  test(`a fleet of two machines is set up by Ansible, on ${suite}`, async t => {
    const { directory, publish } = await openPublisher(t);
    publish();
    const { root, run } = openChroot(t, suite, ['ansible-core', 'openssh-client', 'iproute2']);
    cpSync(directory, join(root, 'public'), { recursive: true });
    writeFileSync(join(root, 'readme'), readmeBlock('ansible-playbook'));
    mkdirSync(join(root, 'machines'));
    for (const machine of ['ann', 'bob']) {
      const packages = ['openssh-server', 'python3-apt', 'ntpsec-ntpdig', 'curl', 'systemd'];
      renameSync(openChroot(t, suite, packages).root, join(root, 'machines', machine));
    }
    const { stdout, stderr } = run(['bash', `${SOURCE}/test/vm/ansible`]);
    const transcript = [...stdout.split('\n'), ...stderr.split('\n')];
    const says = (expected: Readonly<Record<string, readonly string[]>>): void =>
      assertSaid(transcript, expected);
    const both = (text: string): string[] => ['ann', 'bob'].map(machine => `${machine} ${text}`);
    const nothing = both('changed=0 failed=0');
    const files = (hooks: readonly string[]): string =>
      [...hooks.map(hook => `etc/tklbam/hooks.d/${hook}`), 'usr/bin/tklbam-hooks'].join(' ');
    const drifted = files(HOOKS.filter(hook => hook !== 'cleanup'));

    await t.test('--check on a new one says what would be done, and does nothing', () =>
      says({ 'fresh-check': ['0', ...both('changed=2 failed=0')], fresh: both('') }),
    );
    await t.test('the package, the hooks and their settings are there after the first run', () => {
      const [status] = textsOf(transcript, 'first');
      assert.equal(status, '0', transcript.join('\n'));
      says({
        installed: both(files(HOOKS)),
        settings: ['ann', 'bob'].flatMap(machine => [
          `${machine} TKLBAM_HOOKS_TIMEOUT="2h"`,
          `${machine} NOTIFY="https://hc-ping.com/UUID"`,
          `${machine} CLEAN="apt /srv/shop/cache:7d"`,
        ]),
      });
    });
    await t.test('the second run changes nothing, nor would it with --check', () =>
      says({ second: ['0', ...nothing], 'second-check': ['0', ...nothing] }),
    );
    await t.test('what was changed on one is found by --check, and mended without', () =>
      says({
        'drift-check': ['0', 'ann changed=0 failed=0', 'bob changed=1 failed=0'],
        drifted: [`ann ${files(HOOKS)}`, `bob ${drifted}`],
        drift: ['0', 'ann changed=0 failed=0', 'bob changed=1 failed=0'],
        mended: both(files(HOOKS)),
      }),
    );
    await t.test('how the last backups ended is a fact', () => {
      const error = '`/etc/tklbam/hooks.d/40-shop backup pre` non-zero exitcode (3)';
      assert.deepEqual(
        textsOf(transcript, 'facts').sort(),
        both(`backup nightly failed ${error}, the hooks after it were not run`),
        transcript.join('\n'),
      );
    });
    await t.test('a setting that is wrong fails the play, in the words of check, until it is right', () => {
      const words =
        "'/etc/tklbam/hooks.d/00-notify': '/etc/tklbam/hooks.d/00-notify.conf' line 2: NOTIFY has at place 1 neither a mail address, nor http:// or https://, nor apprise:/FILE (correct it)";
      for (const name of ['wrong', 'still-wrong']) {
        const [status, ...ends] = textsOf(transcript, name);
        assert.equal(status, '2', transcript.join('\n'));
        assert.deepEqual(
          ends.map(end => end.replace(/changed=\d+ /, '')),
          both('failed=1'),
        );
        const output = textsOf(transcript, `${name}-output`).join('\n');
        for (const machine of ['ann', 'bob'])
          assert.ok(
            output.split('\n').some(line => line.startsWith(`fatal: [${machine}]`) && line.includes(words)),
            output,
          );
      }
    });
  });
}
