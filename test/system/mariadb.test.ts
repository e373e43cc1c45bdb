// The hook `mariadb`: what is backed up comes back, down to what breaks dumps that are taken for granted, and what fails has lost nothing.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SOURCE } from '../support/chroot.ts';
import { inContainer } from '../support/container.ts';
import { isThorough, RELEASES } from '../support/releases.ts';
import { LOOPBACK, openServers } from '../support/servers.ts';
import { assertSaid } from '../support/transcript.ts';

const ALL = '(users), -dash, SYS, Shop, it\'s; a "name" `x, nothing, shop, ünï';
const WITH_LATER = ALL.replace('nothing', 'later, nothing');
const KEPT = 'what was there before is kept as /var/lib/before-ID/mysql for 7d';
const WARNINGS = [
  'mariadb: dumped without their history: shop.versioned',
  'mariadb: not transactional, so that what is written meanwhile is dumped in part: shop.aria, shop.memory, shop.myisam',
];

for (const suite of RELEASES) {
  test(`mariadb in ${suite}`, async t => {
    const isAll = suite === 'bookworm';
    const script = ['bash', `${SOURCE}/test/vm/mariadb`, isAll ? 'all' : 'short'];
    const { status, stdout, stderr } = openServers(t, suite).run(script, { network: LOOPBACK });
    assert.equal(status, 0, stdout + stderr);
    // What the runner and restic say of it besides.
    const transcript = stdout.split('\n').filter(line => !/\t(?:HookError|Summary): /.test(line));
    const says = (expected: Readonly<Record<string, readonly string[]>>): void =>
      assertSaid(transcript, expected);

    await t.test('what is backed up comes back, through restic, with users and rights', () =>
      says({
        check: ['0'],
        backup: [...WARNINGS, '0'],
        dumps: ['9  9 600, 2 700'],
        verify: ['0'],
        'same-bytes': ['same'],
        restore: [`mariadb: restored ${ALL}, ${KEPT}`, '0'],
        restored: ['same'],
        beside: ['before-ID 0:0 700,mysql mysql 755'],
        later: ['0 1'],
        'own-account': ['0 0 0'],
        'started-again': ['same'],
        left: [''],
        tables: ['OK'],
        old: ['1'],
      }),
    );
    await t.test('what was there before goes when its time is over', () =>
      says({
        kept: ['before-ID 0:0 700,mysql mysql 755'],
        drops: [...WARNINGS, '0'],
        dropped: ['mysql mysql 755'],
      }),
    );
    await t.test('through tklbam', () =>
      says({
        'tklbam-simulate': [...WARNINGS, `mariadb: would dump ${WITH_LATER}`, '0'],
        'tklbam-backup': [...WARNINGS, '0'],
        'tklbam-set': ['9'],
        'tklbam-simulated': [`mariadb: would restore ${WITH_LATER}`, '0'],
        'tklbam-restore': [`mariadb: restored ${WITH_LATER}, ${KEPT}`, '0'],
        'tklbam-restored': ['same '],
        skipped: ['mariadb: tklbam leaves databases out of this backup, and so does this hook', '0'],
      }),
    );
    await t.test('a dump of a newer client, with the line that switches its sandbox on', () =>
      says({
        'sandbox-restore': [`mariadb: restored ${WITH_LATER}, ${KEPT}`, '0'],
        'sandbox-restored': ['same'],
      }),
    );
    if (!isAll) return;

    const nobody = 'let root in by the socket, or name a file with user and password in DEFAULTS_FILE';
    await t.test('who is let in by a file, which no process list, record or dump shows', () => {
      const denied =
        "MariaDB does not let us in: ERROR 1045 (28000): Access denied for user 'backup'@'localhost' (using password: YES)";
      says({
        'file-backup': [...WARNINGS, '0'],
        // It itself stays as it is now, and is let in.
        'file-restore': [`mariadb: restored ${WITH_LATER}, ${KEPT}`, '0'],
        'file-seen': ['0 1 0'],
        'file-restored': ['same'],
        'file-shared': [
          "mariadb: DEFAULTS_FILE: '/etc/tklbam/mariadb.cnf' is writable by everybody; nothing was dumped (chmod go-w '/etc/tklbam/mariadb.cnf')",
          '1',
        ],
        locked: [`mariadb: ${denied}; nothing was dumped (${nobody})`, '1'],
        'locked-check': [`'/etc/tklbam/hooks.d/mariadb': ${denied} (${nobody})`, '1'],
      });
    });
    await t.test('a server that is down is neither dumped nor restored', () => {
      const down =
        "MariaDB does not let us in: ERROR 2002 (HY000): Can't connect to local server through socket '/run/mysqld/mysqld.sock' (2)";
      says({
        down: [`mariadb: ${down}; nothing was dumped (start it, or correct DEFAULTS_FILE)`, '1'],
        'down-restore': [
          `mariadb: ${down}; no database was changed (start it, or correct DEFAULTS_FILE)`,
          '1',
        ],
      });
    });
    await t.test('databases that are named, compressed, broken or emptied meanwhile', () =>
      says({
        nowhere: [
          'mariadb: there is no database other; nothing was dumped (correct DATABASES)',
          'mariadb: there is no database nowhere; nothing was dumped (correct DATABASES)',
          '1',
        ],
        named: ['mariadb: there is no database later; nothing was dumped (correct DATABASES)', '1'],
        'named-restore': [`mariadb: restored (users), shop, ${KEPT}`, '0'],
        'named-restored': ['same'],
        broken: [...WARNINGS, 'mariadb: could not dump shop: VIEW', '1'],
        'raw-directories': [
          ...WARNINGS,
          'mariadb: not dumped, for its directory is named as before MySQL 5.1 (ALTER DATABASE ... UPGRADE DATA DIRECTORY NAME): #mysql50#a-b',
          '0',
        ],
        'zstd-restore': [`mariadb: restored ${WITH_LATER.replace('later', 'later, named')}, ${KEPT}`, '0'],
        // With a name that would be a command to the client.
        'zstd-restored': ['same '],
        emptied: [...WARNINGS, '0'],
        'emptied-why': ['1412'],
      }),
    );
    const refused = (why: string, remedy: string): string[] => [
      `mariadb: ${why}; no database was changed (${remedy})`,
      '1',
    ];
    const file = "'/root/meta/mariadb/GENERATION/0008-shop.sql'";
    await t.test('what cannot be restored is refused, and nobody has stopped the server', () =>
      says({
        half: refused(
          `the dump of shop has 11158101 bytes and not 22316203: ${file}`,
          'take it from another backup',
        ),
        'half-made': refused('the dump of shop: it is not whole: its end is missing', 'take another backup'),
        byte: refused(`the dump of shop was changed: ${file}`, 'take it from another backup'),
        newer: refused(
          'the dumps are of MariaDB VERSION, and this is the older MariaDB VERSION',
          'install one that is not older',
        ),
        folds: refused(
          'lower_case_table_names is 0, and was not where the dumps are from',
          'set up a server that has it so',
        ),
        link: refused(
          "files of the server are elsewhere, or not mysql's to read: /var/lib/mysql/shop/link",
          'have all of them in /var/lib/mysql',
        ),
        replica: refused('this server is a replica, and has what its primary has', 'restore the primary'),
        untouched: ['same'],
        refused: ['same mysql mysql 755 '],
      }),
    );
    const back = `mariadb: ${WITH_LATER}: what was there before the restore is in use again`;
    const failed = (why: string, remedy = 'mend that, or take another backup'): string[] => [
      `mariadb: could not restore ${WITH_LATER}: ${why} (${remedy})`,
      back,
      '1',
    ];
    await t.test('one that fails in the middle, whatever the reason: what was there is served on', () =>
      says({
        'broken-dump': failed('shop: ERROR 1064 (42000)'),
        'server-fails': failed('a server beside it failed: it said nothing', 'mend that'),
        'loader-killed': failed('-dash: Killed'),
        'copy-fails': failed('env: status 1', 'make room in /var/lib'),
        'hook-killed': [back, '1'],
        'all-killed-down': ['down'],
        recovered: [
          'tklbam-hooks: the restore of TIME was cut off when its guardian (pid PID) was killed (last state: post): telling its hooks',
          back,
          '0',
        ],
        ...Object.fromEntries(
          [
            'broken-dump',
            'server-fails',
            'server-killed',
            'loader-killed',
            'copy-fails',
            'hook-killed',
            'all-killed',
          ].map(name => [`${name}-unchanged`, ['same mysql mysql 755 ']]),
        ),
      }),
    );
    await t.test('a disk that is too small, full, shared or mounted there', () =>
      says({
        room: refused('/srv/disk has no room for N bytes more', 'make room there'),
        'room-unchanged': ['same'],
        shared: refused("'/srv/disk' is writable by everybody", "chmod go-w '/srv/disk'"),
        full: failed('shop: ERROR'),
        'full-unchanged': ['same mysql  '],
        mounted: refused(
          '/srv/disk/mysql is a mount point, and cannot be renamed',
          'have the data in a directory below one, and datadir say so',
        ),
      }),
    );
    await t.test('two servers are restored apart', () =>
      says({
        'two-restore': [
          'mariadb-shop: restored (users), other, what was there before is kept as /srv/shop/before-ID/data for 7d',
          '0',
        ],
        two: ['2 same untouched'],
        crossed: [
          'mariadb-shop: could not restore (users), other: mariadb is down, and its server is not (correct SERVICE or DEFAULTS_FILE)',
          'mariadb-shop: (users), other: what was there before the restore is in use again',
          '1',
        ],
        'crossed-unchanged': ['3 same'],
      }),
    );
  });
}

test('as many databases as there may be', t => {
  const count = isThorough ? 1000 : 50;
  const script = ['bash', `${SOURCE}/test/vm/mariadb`, 'many', `${count}`];
  const { stdout, stderr } = openServers(t, 'bookworm').run(script, { network: LOOPBACK });
  assertSaid([...stdout.split('\n'), stderr], {
    'many-backup': ['0'],
    'many-dumps': [`${count + 1}`],
    'many-changed': ['different'],
    'many-restore': [`mariadb: restored ALL, ${KEPT}`, '0'],
    'many-restored': ['same'],
  });
});

test('where systemd runs, nobody starts the server on what is half, and recover does on what is whole', async () => {
  const files = {
    'database-lib': 'test/vm/database-lib',
    hook: 'hooks.d/mariadb',
    'hook.conf': 'hooks.d/mariadb.conf',
    script: 'test/vm/mariadb-systemd',
  };
  const packages = ['systemd-sysv', 'dbus', 'mariadb-server', 'procps', 'restic'];
  assertSaid(await inContainer('bookworm', packages, files, ['script']), {
    backup: ['0'],
    restore: [`mariadb: restored (users), shop, ${KEPT}`, '0'],
    restored: ['2 active'],
    held: ['inactive'],
    recovered: ['mariadb: (users), shop: what was there before the restore is in use again', '0'],
    served: ['1 active  '],
  });
});
