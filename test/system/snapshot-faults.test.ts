// Backups with the hook `snapshot` on btrfs, in each of which somebody is killed: a few of what `test/vm/snapshot-faults` does by hundreds.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { executable } from '../support/built.ts';
import { isRoot, scratch } from '../support/harness.ts';
import { repository } from '../support/repository.ts';

test('whoever is killed, neither snapshot nor mount nor record is left after recover', t => {
  if (!isRoot) throw new Error('only root can make file systems and snapshots');
  const spaces = ['--mount', '--pid', '--fork', '--mount-proc', '--kill-child', '--propagation', 'private'];
  const words = [join(repository, 'test/vm/snapshot-faults'), executable(), scratch(t), repository];
  const seed = String(Date.now() % 32768);
  const { status, stdout, stderr } = spawnSync('unshare', [...spaces, ...words, '12', seed], {
    encoding: 'utf8',
    timeout: 600_000,
  });
  assert.equal(status, 0, stdout + stderr);
  assert.match(stdout, /^12 faults, seed \d+: 0 violations$/m);
});
