// The hook `postgresql`, on the three releases: what is backed up comes back, and what fails has changed nothing.
import assert from 'node:assert/strict';
import { cpSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { SOURCE } from '../support/chroot.ts';
import { cacheDirectory } from '../support/harness.ts';
import { isThorough, RELEASES } from '../support/releases.ts';
import { openServers } from '../support/servers.ts';
import { assertSaid } from '../support/transcript.ts';

/** What there is when nothing is left behind. */
const all = `Großbuchstaben true,a b true,a;drop true,forum true,latin true,${'l'.repeat(63)} true,qu'ote"d true,x=y true`;

/** The dumps of one release, for the next. */
let carried: string;
before(() => {
  carried = mkdtempSync(join(cacheDirectory, 'postgresql-'));
});
after(() => rmSync(carried, { recursive: true }));

for (const suite of RELEASES) {
  test(suite, async t => {
    const { root, run } = openServers(t, suite);
    // There are none for the first, nor where one release is tested alone.
    const dumps = join(carried, 'dumps');
    if (existsSync(dumps)) cpSync(dumps, join(root, 'root/older'), { recursive: true });
    // What does not depend on the version of the server is the same everywhere.
    const isAll = suite === 'bookworm';
    const words = ['bash', `${SOURCE}/test/vm/postgresql`, isAll ? 'all' : 'server'];
    const { status, stdout, stderr } = run(words);
    assert.equal(status, 0, stdout + stderr);
    rmSync(dumps, { recursive: true, force: true });
    cpSync(join(root, 'root/carry'), dumps, { recursive: true });
    // What the runner says of it besides.
    const transcript = stdout.split('\n').filter(line => !line.includes('\tHookError: '));
    const says = (expected: Readonly<Record<string, readonly string[]>>): void =>
      assertSaid(transcript, expected);
    await t.test('it dumps each database and the roles', () =>
      says({
        check: ['0'],
        backup: ['0'],
        dumps: ['21  21 600, 2 700'],
        verify: ['0'],
      }),
    );
    await t.test('what is backed up comes back, whoever is connected', () =>
      says({
        changed: ['different'],
        restored: ['0 1 same '],
        databases: [
          `Großbuchstaben true,Großbuchstaben_before_ID true,a b true,a b_before_ID true,a;drop true,a;drop_before_ID true,forum true,forum_before_ID true,latin true,latin_before_ID true,llllllllllllllllllllllllllllllllllllllll_6_before_ID true,lllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllll true,qu'ote"d true,qu'ote"d_before_ID true,x=y true`,
        ],
        old: ['13|-3'],
        marks: ['0 0'],
        'again-check': ['0'],
        'dumped-again': ['20'],
      }),
    );
    await t.test('... into a server that is bare', () =>
      says({
        bare: [`0 same ${all}`],
        'bare-marks': ['0 0'],
      }),
    );
    await t.test('... of an older release', () =>
      says({
        older: ['0 1 20002|-2|40000|5000000 5MB'],
        'older-back': ['same'],
      }),
    );
    await t.test('a dump that is not whole, or a server that cannot take it, changes nothing', () =>
      says({
        'half-made': ['postgresql: the dump of forum: it is not whole: WHY (try another)', '1'],
        lacks: [
          'postgresql: /var/lib/postgresql/VERSION/main has no room for N bytes more; no database was changed (make room there)',
          'postgresql: PostgreSQL VERSION/main has no extension postgis; no database was changed (install the package that has it)',
          'postgresql: PostgreSQL VERSION/main has no tablespace fast; no database was changed (make it)',
          '1',
        ],
        refused: [`unchanged ${all} `],
        'locked-out': [
          `postgresql: PostgreSQL VERSION/main: FATAL:  pg_hba.conf rejects connection for host "[local]", user; nothing was dumped (have pg_hba.conf let postgres in by 'local all postgres peer')`,
          '1',
        ],
      }),
    );
    await t.test('a role that is missing', () =>
      says({
        role: [
          'postgresql: could not restore (roles), forum: forum: ERROR:  role "forum" does not exist (see the log of PostgreSQL)',
          'postgresql: (roles), forum: what was there before the restore is in use again',
          '1',
        ],
        'role-after': [`unchanged ${all} `],
      }),
    );
    await t.test(
      'the server or the loader is killed while it loads, and what was there before is in use',
      () =>
        says({
          'server-killed': ['1'],
          'server-killed-after': [`unchanged ${all} `],
          'loader-killed': ['1'],
          'loader-killed-after': [`unchanged ${all} `],
          'maker-killed': ['1'],
          'maker-killed-after': [`unchanged ${all} `],
          'both-killed': ['1'],
          'both-killed-after': [`unchanged ${all} `],
        }),
    );
    await t.test('a full disk', () =>
      says({
        full: ['1 0 could not restore,what was there before the restore is in use again'],
        'full-after': [`unchanged ${all} `],
      }),
    );
    if (!isAll) return;
    await t.test('through tklbam, and nothing but what is wanted', () =>
      says({
        'tklbam-simulate': ['postgresql: would dump (roles), a b, forum', '0'],
        'tklbam-backup': ['0'],
        'tklbam-simulated-restore': ['postgresql: would restore (roles), a b, forum', '0'],
        'tklbam-simulated': ['different'],
        'tklbam-restore': [
          'postgresql: restored (roles), a b, forum, what was there before is kept as a b_before_ID, forum_before_ID for 7d',
          '0',
        ],
        'tklbam-restored': [
          `same Großbuchstaben true,a b true,a b_before_ID true,a;drop true,forum true,forum_before_ID true,latin true,lllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllll true,qu'ote"d true,x=y true`,
        ],
      }),
    );
    await t.test('another cluster', () =>
      says({
        down: [
          'postgresql: PostgreSQL VERSION/second does not run; nothing was dumped (start it, or leave it out with EXCLUDE=VERSION/second/*)',
          '1',
        ],
        second: ['0'],
        'second-dumps': [
          '"(roles)", "forum", "VERSION/second/(roles)", "VERSION/second/postgres", "VERSION/second/two",',
        ],
        'second-restore': [
          'postgresql: restored (roles), forum, VERSION/second/(roles), VERSION/second/postgres, VERSION/second/two, what was there before is kept as forum_before_ID, postgres_before_ID for 7d',
          '0',
        ],
        'second-restored': ['same'],
        'second-first': ['same'],
      }),
    );
    await t.test('dumps that are not as the manifest says, or do not fit what is there', () =>
      says({
        half: [
          "postgresql: the dump of forum has N bytes and not M: '/root/meta/postgresql/GENERATION/0002-forum.pgdump'; no database was changed (take it from another backup)",
          '1',
        ],
        byte: [
          "postgresql: the dump of forum was changed: '/root/meta/postgresql/GENERATION/0002-forum.pgdump'; no database was changed (take it from another backup)",
          '1',
        ],
        version: [
          'postgresql: the dumps are of PostgreSQL 99, and PostgreSQL VERSION/main is older; no database was changed (install postgresql-99)',
          '1',
        ],
      }),
    );
    await t.test('the hook or its caller is killed while it loads', () =>
      says({
        'hook-killed': ['1'],
        'hook-killed-after': [`unchanged ${all} `],
        'wrap-killed': ['137'],
        'wrap-killed-after': [`unchanged ${all} `],
      }),
    );
    await t.test('a server that does not run, or lacks what the settings name', () =>
      says({
        'not-running-backup': [
          'postgresql: PostgreSQL VERSION/main does not run; nothing was dumped (start it, or leave it out with EXCLUDE=VERSION/main/*)',
          '1',
        ],
        'not-running': [
          'postgresql: PostgreSQL VERSION/main does not run; no database was changed (start it, or leave it out with EXCLUDE=VERSION/main/*)',
          '1',
        ],
        yesterday: ['whole'],
        typo: ['postgresql: there is no database none; nothing was dumped (correct DATABASES)', '1'],
        template: ['postgresql: not dumped, for they are templates: stencil', '0'],
      }),
    );
    await t.test('what was there before is kept for a time', () =>
      says({
        'other-hook': [
          `1 20001 Großbuchstaben true,a b true,a;drop true,forum true,forum_before_ID true,latin true,lllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllll true,qu'ote"d true,x=y true `,
        ],
        'kept-backup': ['0'],
        kept: [
          `Großbuchstaben true,a b true,a;drop true,forum true,forum_before_ID true,latin true,lllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllll true,qu'ote"d true,x=y true`,
        ],
        'gone-backup': ['0'],
        gone: [`${all}`],
      }),
    );
    await t.test('a machine without PostgreSQL', () =>
      says({
        'not-installed': [
          'postgresql: the dump of forum: PostgreSQL is not installed; no database was changed (install it, or disable this hook)',
          '1',
        ],
      }),
    );
  });
}

test('as many databases as there may be', t => {
  const count = isThorough ? 1000 : 25;
  const { stdout, stderr } = openServers(t, 'bookworm').run([
    ...['bash', `${SOURCE}/test/vm/postgresql`, 'many', `${count}`],
  ]);
  assertSaid([...stdout.split('\n'), stderr], {
    'many-backup': ['0'],
    // Beside them, `postgres` and the roles.
    'many-dumps': [`${count + 2}`],
    'many-changed': ['different'],
    'many-restore': ['postgresql: restored ALL', '0'],
    'many-restored': ['same'],
  });
});
