// The hook `sqlite`, on the three releases: what is backed up comes back, and what fails has changed nothing.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SOURCE } from '../support/chroot.ts';
import { RELEASES } from '../support/releases.ts';
import { openServers } from '../support/servers.ts';
import { assertSaid } from '../support/transcript.ts';

for (const suite of RELEASES) {
  test(suite, async t => {
    const { status, stdout, stderr } = openServers(t, suite).run(['bash', `${SOURCE}/test/vm/sqlite`]);
    assert.equal(status, 0, stdout + stderr);
    // What the runner says of it besides.
    const transcript = stdout.split('\n').filter(line => !line.includes('\tHookError: '));
    const says = (expected: Readonly<Record<string, readonly string[]>>): void =>
      assertSaid(transcript, expected);
    await t.test('it asks for its settings', () =>
      says({
        off: ["'/etc/tklbam/hooks.d/sqlite': it is not executable, so it does not run (chmod +x enables it)"],
        unset: [
          "'/etc/tklbam/hooks.d/sqlite': it does nothing, since DATABASES is not set (set it in '/etc/tklbam/hooks.d/sqlite.conf')",
        ],
        check: ['0'],
      }),
    );
    await t.test('what is backed up comes back, through restic', () =>
      says({
        backup: ['0'],
        dumps: ['15  15 600, 2 700'],
        verify: ['0'],
        changed: ['different'],
        restored: ['0 1 same'],
        mode: ['shop:shop 640'],
        beside: ['13 shop.db shop.db.before-ID'],
        old: ['1|-1'],
        left: [''],
        'old-made': ['1'],
      }),
    );
    await t.test('... through tklbam', () =>
      says({
        'tklbam-simulate': [`sqlite: would dump /var/lib/shop/a;b 'c' "d".db, /var/lib/shop/shop.db`, '0'],
        'tklbam-backup': ['0'],
        'tklbam-set': ['2'],
        'tklbam-simulated-restore': [
          `sqlite: would restore /var/lib/shop/a;b 'c' "d".db, /var/lib/shop/shop.db`,
          '0',
        ],
        'tklbam-simulated': ['different'],
        'tklbam-restore': [
          `sqlite: restored /var/lib/shop/a;b 'c' "d".db, /var/lib/shop/shop.db, what was there before is kept as /var/lib/shop/a;b 'c' "d".db.before-ID, /var/lib/shop/shop.db.before-ID for 7d`,
          '0',
        ],
        'tklbam-restored': ['same '],
        skipped: ['sqlite: tklbam leaves databases out of this backup, and so does this hook', '0'],
      }),
    );
    await t.test('compressed', () =>
      says({
        'zstd-backup': ['0'],
        'zstd-file': ['.sqlite.zst 1'],
        'zstd-verify': ['0'],
        'zstd-restore': ['sqlite: restored /var/lib/shop/shop.db', '0'],
        'zstd-restored': ['same shop.db'],
      }),
    );
    await t.test('what was there before is kept for a time', () =>
      says({
        'keep-backup': ['0'],
        keep: [
          'sqlite: restored /var/lib/shop/shop.db, what was there before is kept as /var/lib/shop/shop.db.before-ID for 7d',
          '0',
        ],
        kept: ['shop.db shop.db.before-ID'],
        'kept-backup': ['0'],
        'kept-still': ['shop.db shop.db.before-ID'],
        'old-backup': ['0'],
        'old-gone': ['shop.db 0'],
      }),
    );
    await t.test('beside those that write', () =>
      says({
        'busy-wal': ['0'],
        'busy-journal': ['0'],
      }),
    );
    await t.test('a write-ahead log that is left belongs to what was there before', () =>
      says({
        'hot-backup': ['0'],
        open: [
          "sqlite: sqlite3 (pid PID) has /var/lib/shop/shop.db open; no database was changed (stop it: a copy of the hook 'services' that sorts before this one does that)",
          '1',
        ],
        hot: ['shop.db shop.db-shm shop.db-wal'],
        'hot-restore': [
          'sqlite: restored /var/lib/shop/shop.db, what was there before is kept as /var/lib/shop/shop.db.before-ID for 7d',
          '0',
        ],
        'hot-restored': ['same 10 shop.db shop.db.before-ID'],
      }),
    );
    await t.test('dumps that are not whole change nothing', () =>
      says({
        half: [
          "sqlite: the dump of /var/lib/shop/shop.db has 11601920 bytes and not 23203840: '/root/meta/sqlite/GENERATION/0001-_var_lib_shop_shop.db.sqlite'; no database was changed (take it from another backup)",
          '1',
        ],
        'half-verify': [
          "sqlite: the dump of /var/lib/shop/shop.db has 11601920 bytes and not 23203840: '/root/meta/sqlite/GENERATION/0001-_var_lib_shop_shop.db.sqlite' (take it from another backup)",
          '1',
        ],
        'half-made': [
          'sqlite: the dump of /var/lib/shop/shop.db: it is not whole: WHY (see whether the database itself passes pragma integrity_check)',
          '1',
        ],
        byte: [
          "sqlite: the dump of /var/lib/shop/shop.db was changed: '/root/meta/sqlite/GENERATION/0001-_var_lib_shop_shop.db.sqlite'; no database was changed (take it from another backup)",
          '1',
        ],
        gone: [
          "sqlite: the dump of /var/lib/shop/shop.db is missing: '/root/meta/sqlite/GENERATION/0001-_var_lib_shop_shop.db.sqlite'; no database was changed (take it from another backup)",
          '1',
        ],
        hostile: [
          "sqlite: '/root/meta/sqlite/manifest.json' is damaged; no database was changed (take them from another backup, or disable this hook to restore without them)",
          '1',
        ],
        none: [
          "sqlite: there are no dumps in '/root/meta/sqlite': it has no manifest; no database was changed (take them from another backup, or disable this hook to restore without them)",
          '1',
        ],
        'none-brought': [
          "sqlite: this restore brought no dumps into '/var/lib/tklbam-hooks/dumps/sqlite', no database was changed (to restore without them: tklbam-hooks disable sqlite)",
          '1',
        ],
        damaged: ['unchanged shop.db '],
      }),
    );
    await t.test('nor do those that do not fit what is there', () =>
      says({
        link: [
          "sqlite: /var/lib/shop/shop.db is not a file of shop's any more; no database was changed (remove it, or give it back)",
          '1',
        ],
        'link-backup': [
          'sqlite: /var/lib/shop/shop.db is no file; nothing was dumped (name what is one in DATABASES, or leave it out with EXCLUDE)',
          '1',
        ],
        lost: ['sqlite: restored /var/lib/shop/shop.db', '0'],
        'lost-restored': ['5000 shop.db'],
        owner: [
          "sqlite: /var/lib/shop/shop.db is not a file of shop's any more; no database was changed (remove it, or give it back)",
          '1',
        ],
        room: [
          'sqlite: /var/lib/shop has no room for 23203840 bytes more; no database was changed (make room there)',
          '1',
        ],
      }),
    );
    await t.test('a full disk', () =>
      says({
        full: [
          "sqlite: could not restore /var/lib/shop/shop.db: dd: error writing '/var/lib/shop/shop.db.tklbam-hooks-new-ID': No space left on device (make room in /var/lib/shop)",
          'sqlite: /var/lib/shop/shop.db: what was there before the restore is in use again',
          '1',
        ],
        'full-after': ['unchanged shop.db '],
        'full-backup': [
          "sqlite: could not dump /var/lib/shop/shop.db: no space is left in '/root/meta/sqlite': cat: write error: No space left on device (make room there, or set COMPRESS=zstd)",
          '1',
        ],
        'full-backup-after': ['yesterday '],
      }),
    );
    await t.test('another hook, or the command, fails', () =>
      says({
        'other-hook': ['1'],
        'other-hook-after': ['unchanged shop.db '],
        command: ["tklbam-hooks: 'false' exited with status 1", '1'],
        'command-after': ['unchanged shop.db '],
        'failing-backup': ["tklbam-hooks: 'false' exited with status 1", '1'],
        'failing-backup-verify': ['0'],
      }),
    );
    await t.test('what is no database is no backup, and the last one stays', () =>
      says({
        missing: [
          'sqlite: no file is there for /var/lib/shop/shop.db; nothing was dumped (correct DATABASES)',
          '1',
        ],
        empty: [
          'sqlite: /var/lib/shop/shop.db is empty, and no database yet; nothing was dumped (name what is one in DATABASES, or leave it out with EXCLUDE)',
          '1',
        ],
        random: [
          'sqlite: /var/lib/shop/shop.db is no database of SQLite; nothing was dumped (name what is one in DATABASES, or leave it out with EXCLUDE)',
          '1',
        ],
        ruined: ['1 1 shop.db'],
        yesterday: ['0'],
        'ruined-restore': [
          'sqlite: restored /var/lib/shop/shop.db, what was there before is kept as /var/lib/shop/shop.db.before-ID for 7d',
          '0',
        ],
        'ruined-restored': ['4999'],
        roots: [
          "sqlite: /var/lib/shop/roots.db is root's, in a directory where others could put something in its place; nothing was dumped (give the file to the owner of the directory)",
          '1',
        ],
      }),
    );
    await t.test('instances', () =>
      says({
        instances: ['0'],
        'instances-dumps': ['1 8'],
      }),
    );
    await t.test('a backup that is resumed, or told twice, or cut short', () =>
      says({
        resume: ['sqlite: the dumps of the backup that is resumed are whole, and stay', '0'],
        resumed: ['the same file'],
        again: ['0'],
        anew: ['another file'],
        'post-again': ['0'],
        'error-again': ['0'],
        'cut-off': ['0'],
        'cut-off-left': ['shop.db '],
        unseen: [
          "sqlite: this backup has no dump: 'inspect' never came (see READY HOOKS in tklbam-hooks(5))",
          '1',
        ],
        'left-at-last': [''],
      }),
    );
  });
}
