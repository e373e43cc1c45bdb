// Backups of databases in which a program that takes part is killed, or the disk gets full: what they leave is never called good.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SOURCE } from '../support/chroot.ts';
import { RELEASES } from '../support/releases.ts';
import { LOOPBACK, openServers } from '../support/servers.ts';
import { assertSaid } from '../support/transcript.ts';

const failed = ["1 1 yesterday's"];
for (const suite of RELEASES) {
  test(`${suite}: a dump counts if all that take part succeed, and its sum is that of the file`, t => {
    const words = ['bash', `${SOURCE}/test/vm/database-dumps`];
    const { status, stdout, stderr } = openServers(t, suite).run(words, { network: LOOPBACK });
    assert.equal(status, 0, stdout + stderr);
    const good = (hook: string): Record<string, string[]> => ({
      [`${hook}-good`]: ['0'],
      [`${hook}-state`]: ['as it was summed'],
      [`${hook}-openssl`]: failed,
      [`${hook}-full`]: failed,
      [`${hook}-coreutils`]: ['0'],
      [`${hook}-coreutils-state`]: ['as it was summed'],
    });
    assertSaid(stdout.split('\n'), {
      ...good('postgresql'),
      'postgresql-pg_dump': failed,
      'postgresql-pg_restore': failed,
      ...good('mariadb'),
      'mariadb-mariadb-dump': failed,
    });
  });
}
