// The hook `etcd`, on the three releases: what is backed up comes back, and what fails has lost nothing of what was there.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SOURCE } from '../support/chroot.ts';
import { RELEASES } from '../support/releases.ts';
import { LOOPBACK, openServers } from '../support/servers.ts';
import { assertSaid } from '../support/transcript.ts';

for (const suite of RELEASES) {
  test(suite, async t => {
    const script = ['bash', `${SOURCE}/test/vm/etcd`];
    const { status, stdout, stderr } = openServers(t, suite).run(script, { network: LOOPBACK });
    assert.equal(status, 0, stdout + stderr);
    // What the runner and restic say of it besides.
    const transcript = stdout.split('\n').filter(line => !/\t(?:HookError|Summary): /.test(line));
    const says = (expected: Readonly<Record<string, readonly string[]>>): void =>
      assertSaid(transcript, expected);
    const kept = 'what was there before is kept as /var/lib/etcd/default/before-ID for 7d';
    const restored = [`etcd: restored etcd, ${kept}`, '0'];

    await t.test('what is backed up comes back, through restic and through tklbam', () =>
      says({
        check: ['0'],
        backup: ['0'],
        dumps: ['2  2 600, 2 700'],
        verify: ['0'],
        restore: restored,
        restored: ['same before-ID member 0'],
        again: ['same'],
        left: [''],
        'tklbam-backup': ['0'],
        'tklbam-simulated': ['etcd: would restore etcd', '0'],
        'tklbam-restore': restored,
        'tklbam-restored': ['same '],
      }),
    );
    await t.test('a dump that is not whole changes nothing', () =>
      says({
        half: [
          "etcd: the dump of etcd has N bytes and not M: '/root/meta/etcd/GENERATION/0001-etcd.db'; no database was changed (take it from another backup)",
          '1',
        ],
        'half-made': ['etcd: the dump of etcd: WHY (take another backup)', '1'],
        'byte-made': [
          'etcd: the dump of etcd: it is not whole: WHY (take another backup, or make room in /var/tmp)',
          '1',
        ],
        refused: ['same member '],
      }),
    );
    await t.test('what fails in the middle: what was there is served on', () => {
      const failed = (why: string): string[] => [
        `etcd: could not restore etcd: ${why}`,
        'etcd: etcd: what was there before the restore is in use again',
        '1',
      ];
      says({
        killed: failed('WHY (make room, or take another backup)'),
        'killed-unchanged': ['same member '],
        'trial-killed': ['1'],
        'trial-killed-unchanged': ['same member ', ''],
        start: failed('could not start etcd again: WHY (start it by hand, and see why it cannot)'),
        'start-unchanged': ['same member '],
      });
    });
    await t.test('a server that is down is not dumped, and the last dump stays', () =>
      says({
        down: ['etcd: etcd does not answer: WHY; nothing was dumped (start etcd, or correct ENDPOINT)', '1'],
        'down-kept': ['whole'],
      }),
    );
  });
}
