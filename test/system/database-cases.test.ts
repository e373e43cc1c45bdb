// What is left of a database when its restore goes wrong, by our hooks and by borgmatic's (Debian's package): README has the table.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { SOURCE } from '../support/chroot.ts';
import { isThorough } from '../support/releases.ts';
import { repository } from '../support/repository.ts';
import { LOOPBACK, openCases } from '../support/servers.ts';

/** What the other one leaves is told; it is asked for only as far as README has it. */
const TOOLS = ['ours', 'borgmatic'] as const;

/** The rows of README that do not depend on what a kill, or a full disk, comes upon. */
const ROWS = new Map([
  ['newer data', 'nothing happened'],
  ['dropped', 'the database was dropped'],
  ['its role is missing', 'the role that owns it was dropped'],
  ['a byte of the repository changed', "a byte of borg's repository is another"],
  ['the dump was killed', "the last backup's dump was killed"],
]);
const table = readFileSync(join(repository, 'README.md'), 'utf8')
  .split('\n')
  .filter(line => line.startsWith('|'))
  .map(line => line.split('|').map(cell => cell.replace(/[*\\]/g, '').trim()));

/** Of ours and of theirs beside it. */
function readme(what: string, database: string): readonly (string | undefined)[] {
  const column = (table.find(cells => cells.includes('SQLite')) ?? []).findIndex(
    cell => cell.toLowerCase() === database,
  );
  return table.find(cells => cells[1] === what)?.slice(column, column + 2) ?? [];
}

/** Without what is said of it; '' for a case that this database does not have. */
const inShort = (outcome = ''): string => outcome.toLowerCase().replace(/,.*/, '');

const SERVERS = { sqlite: 'sqlite3', postgresql: 'postgresql', mariadb: 'mariadb-server' } as const;

for (const [database, server] of Object.entries(SERVERS).slice(0, isThorough ? 3 : 1)) {
  test(`${database}: whatever happens to a restore, the old or the new is there, whole`, t => {
    const [ours, theirs] = TOOLS.map(tool => {
      const words = ['bash', `${SOURCE}/test/vm/database-cases`, database, tool];
      const { stdout, stderr } = openCases(t, server).run(words, { network: LOOPBACK });
      const lines = stdout.split('\n').filter(line => line !== '');
      return { outcomes: new Map(lines.map(line => line.split('\t') as [string, string])), stderr };
    });
    assert(ours && theirs);
    for (const [what, outcome] of ours.outcomes)
      t.diagnostic(`${what.padEnd(32)} ${outcome.padEnd(6)} borgmatic: ${theirs.outcomes.get(what)}`);
    const all = [
      'newer data',
      'dropped',
      'the loader is killed',
      'the disk gets full',
      'the dump was killed',
    ];
    for (const each of all) assert(ours.outcomes.has(each), ours.stderr);
    for (const [what, outcome] of ours.outcomes)
      assert.match(outcome, /^(?:old|new)$/, `${what}: ${outcome}\n${ours.stderr}`);
    // Those that nothing is in the way of.
    for (const what of ['newer data', 'dropped', 'the dump was killed'])
      assert.equal(ours.outcomes.get(what), 'new', `${what}\n${ours.stderr}`);
    assert.equal(ours.outcomes.get('a byte of the repository changed'), 'old', ours.stderr);
    assert.deepEqual([...theirs.outcomes.keys()], [...ours.outcomes.keys()], theirs.stderr);
    for (const [what, row] of ROWS)
      assert.deepEqual(
        [ours, theirs].map(({ outcomes }) => inShort(outcomes.get(what))),
        readme(row, database),
        `${what}\n${theirs.stderr}`,
      );
  });
}
