// Backups with the hook `snapshot` on btrfs, in each of which somebody is killed: a few of what `npm run soak` does by hundreds.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isRoot, scratch } from '../support/harness.ts';
import { btrfsFaults } from '../support/volume-faults.ts';

test('whoever is killed, neither snapshot nor mount nor record is left after recover', t => {
  if (!isRoot) throw new Error('only root can make file systems and snapshots');
  const said = btrfsFaults(scratch(t), 12, Date.now() % 32768);
  assert.match(said, /^12 faults, seed \d+: 0 violations$/m, said);
});
