// The hook `openldap`: configuration and data come back, and what fails has lost nothing of what was there.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SOURCE } from '../support/chroot.ts';
import { RELEASES } from '../support/releases.ts';
import { openServers } from '../support/servers.ts';
import { assertSaid } from '../support/transcript.ts';

for (const suite of RELEASES) {
  test(suite, async t => {
    const isAll = suite === 'bookworm';
    const script = ['bash', `${SOURCE}/test/vm/openldap`, isAll ? 'all' : 'short'];
    const { status, stdout, stderr } = openServers(t, suite).run(script);
    assert.equal(status, 0, stdout + stderr);
    // What the runner and restic say of it besides.
    const transcript = stdout.split('\n').filter(line => !/\t(?:HookError|Summary): /.test(line));
    const says = (expected: Readonly<Record<string, readonly string[]>>): void =>
      assertSaid(transcript, expected);
    const all = 'cn=config, dc=nodomain, dc=shop';
    const kept = ['/etc/ldap/slapd.d', '/var/lib/ldap', '/var/lib/ldap-shop'].map(
      each => `${each}/before-ID`,
    );
    const restored = [
      `openldap: restored ${all}, what was there before is kept as ${kept.join(', ')} for 7d`,
      '0',
    ];

    await t.test('what is backed up comes back, through restic, the configuration too', () =>
      says({
        check: ['0'],
        // slapd gives no more than 500 at once.
        serves: ['500 51'],
        backup: ['0'],
        dumps: ['4  4 600, 2 700'],
        verify: ['0'],
        spoiled: ['different 500 7'],
        restore: restored,
        restored: ['same 500 51  3 before-ID, 1 cn=config, 1 cn=config.ldif, 2 data.mdb, 2 lock.mdb'],
        owners: ['0'],
        again: ['same 500 51'],
        left: [''],
      }),
    );
    await t.test('through tklbam', () =>
      says({
        'tklbam-backup': ['0'],
        'tklbam-set': ['3'],
        'tklbam-simulated': [`openldap: would restore ${all}`, '0'],
        'tklbam-restore': restored,
        'tklbam-restored': ['same 500 51 '],
      }),
    );
    if (!isAll) return;

    await t.test('one database alone goes into what there is', () =>
      says({
        'all-backup': ['0'],
        'one-restore': [
          'openldap: restored dc=shop, what was there before is kept as /var/lib/ldap-shop/before-ID for 7d',
          '0',
        ],
        one: ['500 51 o: other olcDbIndex: sn eq'],
      }),
    );
    const dump = 'openldap: the dump of dc=nodomain';
    const file = "'/root/meta/openldap/GENERATION/0002-dc_nodomain.ldif'";
    const none = 'no database was changed';
    const failed = (why: string): string[] => [
      `openldap: could not restore ${all}: ${why}`,
      `openldap: ${all}: what was there before the restore is in use again`,
      '1',
    ];
    const loading = (what: string): string[] =>
      failed(`slapadd of ${what}: WHY (make room, or take the dump of a slapd like this one)`);
    await t.test('a dump that is not whole, or that slapd cannot take, changes nothing', () =>
      says({
        half: [`${dump} has N bytes and not M: ${file}; ${none} (take it from another backup)`, '1'],
        'half-made': [`${dump}: it is not whole: N entries of 501; ${none} (take another backup)`, '1'],
        byte: [`${dump} was changed: ${file}; ${none} (take it from another backup)`, '1'],
        class: loading('dc=nodomain'),
        refused: ['same served 0 '],
      }),
    );
    await t.test('what fails in the middle: what was there is served on', () =>
      says({
        'loader-killed': loading('X'),
        'loader-killed-unchanged': ['same served 0 '],
        full: loading('X'),
        'full-unchanged': ['same served 0 '],
        room: [`openldap: /var/lib/ldap has no room for N bytes more; ${none} (make room there)`, '1'],
        start: failed('could not start slapd again: WHY (start it by hand, and see why it cannot)'),
        'start-unchanged': ['same served 0 '],
      }),
    );
  });
}
