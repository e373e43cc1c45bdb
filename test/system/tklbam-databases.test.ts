// The hook `tklbam-databases`, on the three releases, beside dumps such as tklbam makes.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SOURCE } from '../support/chroot.ts';
import { RELEASES } from '../support/releases.ts';
import { openServers } from '../support/servers.ts';
import { assertSaid } from '../support/transcript.ts';

/** The last line of what fails. */
const HINT =
  "tklbam-databases: see what tklbam said of it; the hook 'postgresql' dumps PostgreSQL itself, and what is not to be backed up can be named in EXCLUDE";

for (const suite of RELEASES) {
  test(suite, async t => {
    const { status, stdout, stderr } = openServers(t, suite).run([
      'bash',
      `${SOURCE}/test/vm/tklbam-databases`,
    ]);
    assert.equal(status, 0, stdout + stderr);
    const says = (expected: Readonly<Record<string, readonly string[]>>): void =>
      assertSaid(stdout.split('\n'), expected);
    await t.test('where tklbam has dumped all that there is, it is content', () =>
      says({
        foreign: ['tklbam-databases: this is no backup of tklbam, there is nothing to look at', '0'],
        whole: ['0'],
        'other-state': ['0'],
      }),
    );
    await t.test('a database or a table that is missing fails the backup', () =>
      says({
        'own-name': [
          "tklbam-databases: the database SYS of MySQL is not in tklbam's dump: this backup is not good",
          HINT,
          '1',
        ],
        new: [
          "tklbam-databases: the database new one of PostgreSQL VERSION/main is not in tklbam's dump: this backup is not good",
          "tklbam-databases: the table web.late of MySQL is not in tklbam's dump: this backup is not good",
          "tklbam-databases: the database fresh of MySQL is not in tklbam's dump: this backup is not good",
          HINT,
          '1',
        ],
      }),
    );
    await t.test('but for those that are not to be in it', () =>
      says({
        excluded: [
          "tklbam-databases: the table web.late of MySQL is not in tklbam's dump: this backup is not good",
          HINT,
          '1',
        ],
        overrides: [
          "tklbam-databases: the table web.late of MySQL is not in tklbam's dump: this backup is not good",
          HINT,
          '1',
        ],
        overridden: ['0'],
        skipped: ['0'],
      }),
    );
    await t.test('no dump, and one in part', () =>
      says({
        none: [
          "tklbam-databases: the database forum of PostgreSQL VERSION/main is not in tklbam's dump: this backup is not good",
          "tklbam-databases: the database shop of PostgreSQL VERSION/main is not in tklbam's dump: this backup is not good",
          "tklbam-databases: the database web of MySQL is not in tklbam's dump: this backup is not good",
          HINT,
          '1',
        ],
        part: [
          'tklbam-databases: the database forum of PostgreSQL VERSION/main was dumped, and its file toc.dat is gone: this backup is not good',
          'tklbam-databases: the database shop of PostgreSQL VERSION/main was dumped in part: this backup is not good',
          "tklbam-databases: the table web.posts of MySQL has rows, and none in tklbam's dump: this backup is not good",
          HINT,
          '1',
        ],
      }),
    );
    await t.test('another cluster, which tklbam does not know; a server that does not run', () =>
      says({
        second: [
          "tklbam-databases: the database two of PostgreSQL VERSION/second is in none of tklbam's dumps, which are of one cluster: this backup is not good",
          HINT,
          '1',
        ],
        stopped: ['0'],
      }),
    );
  });
}
