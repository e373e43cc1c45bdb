// The hook `redis`: what is backed up comes back, with an append-only file or without, and what fails has lost nothing of what was there.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SOURCE } from '../support/chroot.ts';
import { isThorough, RELEASES } from '../support/releases.ts';
import { LOOPBACK, openServers, openValkey } from '../support/servers.ts';
import { assertSaid, textsOf } from '../support/transcript.ts';

for (const [suite, name] of [
  ...RELEASES.map(each => [each, 'redis'] as const),
  ...(isThorough ? [['trixie', 'valkey'] as const] : []),
]) {
  test(`${name} in ${suite}`, async t => {
    const isAll = suite === 'bookworm';
    const { run } = name === 'redis' ? openServers(t, suite) : openValkey(t);
    const script = ['bash', `${SOURCE}/test/vm/redis`, name, isAll ? 'all' : 'short'];
    const { status, stdout, stderr } = run(script, { network: LOOPBACK });
    assert.equal(status, 0, stdout + stderr);
    // What the runner and restic say of it besides.
    const transcript = stdout.split('\n').filter(line => !/\t(?:HookError|Summary): /.test(line));
    const says = (expected: Readonly<Record<string, readonly string[]>>): void =>
      assertSaid(transcript, expected);
    const [hook, service] = ['redis', `${name}-server`];
    const kept = `what was there before is kept as /var/lib/${name}/before-ID for 7d`;
    const restored = [`${hook}: restored ${service}, ${kept}`, '0'];

    await t.test('what is backed up comes back, through restic, and is there after the next start', () =>
      says({
        check: ['0'],
        backup: ['0'],
        dumps: ['2  2 600, 2 700'],
        verify: ['0'],
        restore: restored,
        restored: ['same before-ID dump.rdb'],
        group: ['1 N'],
        'started-again': ['same'],
        // Nothing had ever had it written.
        old: ['[info] 1 keys read'],
        left: [''],
      }),
    );
    await t.test('with an append-only file, whose setting stays', () =>
      says({
        'aof-restore': restored,
        'aof-restored': ['same appendonly yes'],
        'aof-again': ['same AOF before-ID dump.rdb'],
        'aof-backup': ['0'],
        'aof-to-aof': restored,
        'aof-to-aof-again': ['same'],
      }),
    );
    await t.test('through tklbam', () =>
      says({
        'tklbam-simulate': [`${hook}: would dump ${service}`, '0'],
        'tklbam-backup': ['0'],
        'tklbam-set': ['1'],
        'tklbam-simulated': [`${hook}: would restore ${service}`, '0'],
        'tklbam-restore': restored,
        'tklbam-restored': ['same '],
        skipped: [`${hook}: tklbam leaves databases out of this backup, and so does this hook`, '0'],
      }),
    );
    await t.test('with a password, which no process list, record or dump shows', () => {
      const locked = `${service} does not let us in: NOAUTH Authentication required.`;
      const shared = `'/etc/tklbam/password' is writable by everybody`;
      says({
        locked: [`${hook}: ${locked}; nothing was dumped (have PASSWORD_FILE hold its password)`, '1'],
        'locked-check': [
          `'/etc/tklbam/hooks.d/redis': ${locked} (have PASSWORD_FILE hold its password)`,
          '1',
        ],
        'locked-kept': ['0'],
        'password-backup': ['0'],
        'password-restore': restored,
        'password-seen': ['0 1 0'],
        'password-restored': ['same'],
        'password-shared': [
          `${hook}: PASSWORD_FILE: ${shared}; nothing was dumped (chmod go-w '/etc/tklbam/password')`,
          '1',
        ],
      });
    });
    if (!isAll) return;

    const refused = (why: string, remedy: string): string[] => [
      `${hook}: the dump of ${service}${why}; no database was changed (${remedy})`,
      '1',
    ];
    const file = "'/root/meta/redis/GENERATION/0001-redis-server.rdb'";
    await t.test('a dump that is not whole, or not of this server, changes nothing', () =>
      says({
        half: refused(` has 220025 bytes and not 440051: ${file}`, 'take it from another backup'),
        'half-made': refused(
          ': it is not whole, or of a newer server: Unexpected EOF reading RDB file',
          'take another backup',
        ),
        byte: refused(` was changed: ${file}`, 'take it from another backup'),
        'byte-made': [`${hook}: the dump of ${service}: WHY (take another backup)`, '1'],
        newer: [`${hook}: the dump of ${service}: WHY (take another backup)`, '1'],
        fewer: refused(': it has N keys and not 1', 'take another backup'),
        refused: ['same AOF dump.rdb '],
      }),
    );
    await t.test('one that cannot be loaded, whatever the reason: what was there is served on', () => {
      const back = `${hook}: ${service}: what was there before the restore is in use again`;
      const failed = (why: string, remedy: string): string[] => [
        `${hook}: could not restore ${service}: ${why} (${remedy})`,
        back,
        '1',
      ];
      says({
        loader: failed('redis-server: status 1', 'see whether redis-server starts'),
        'loader-unchanged': ['same AOF dump.rdb '],
        'loader-killed-unchanged': ['same AOF dump.rdb '],
        room: [
          `${hook}: /var/lib/redis has no room for N bytes more; no database was changed (make room there)`,
          '1',
        ],
        'room-unchanged': ['same AOF dump.rdb '],
        full: failed('a server beside it could not load the dump', 'mend that'),
        'full-unchanged': ['same AOF dump.rdb '],
      });
      // By what it was doing when it was killed.
      const [why = '', ...rest] = textsOf(transcript, 'loader-killed');
      assert.match(
        why,
        /: (?:a server beside it could not load the dump|\d+ keys were loaded, and not 5057) \(/,
      );
      assert.deepEqual(rest, [back, '1']);
    });
    await t.test('a server that is down is neither dumped nor restored', () => {
      const down = `${service} does not let us in: Could not connect to Redis at 127.0.0.1:6379: Connection refused`;
      says({
        down: [`${hook}: ${down}; nothing was dumped (start ${service}, or correct SERVER)`, '1'],
        'down-restore': [
          `${hook}: ${down}; no database was changed (start ${service}, or correct SERVER)`,
          '1',
        ],
      });
    });
    await t.test('two servers in one directory are restored apart', () =>
      says({
        'two-backup': ['0'],
        'two-restore': [`redis-shop: restored redis-shop, ${kept}`, '0'],
        two: ['same 0 untouched'],
        'one-restore': restored,
        one: ['same same'],
      }),
    );
    await t.test('a configuration that came with the restore counts', () =>
      says({ moved: restored, 'moved-to': ['same 2'] }),
    );
  });
}
