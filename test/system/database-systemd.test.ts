// The hooks `redis` and `postgresql` with servers that a real systemd runs, one of them in a unit that may write hardly anywhere.
import { test } from 'node:test';
import { inContainer } from '../support/container.ts';
import { assertSaid } from '../support/transcript.ts';

test('what systemd runs is its own after a restore, and after one that was killed while it was down', async () => {
  const files = {
    'database-lib': 'test/vm/database-lib',
    redis: 'hooks.d/redis',
    'redis.conf': 'hooks.d/redis.conf',
    postgresql: 'hooks.d/postgresql',
    'postgresql.conf': 'hooks.d/postgresql.conf',
    script: 'test/vm/database-systemd',
  };
  const packages = ['systemd-sysv', 'dbus', 'redis-server', 'postgresql', 'procps'];
  assertSaid(await inContainer('bookworm', packages, files, ['script']), {
    started: ['backed-up 2 active active'],
    backup: ['0'],
    restored: ['backed-up 2 active active redis-server.service'],
    held: ['inactive'],
    recovered: ['0 changed active active redis-server.service'],
    restarted: ['active active 0 0'],
    left: [''],
  });
});
