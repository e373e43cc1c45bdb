// The hook `snapshot` on btrfs, on a loop device in a mount namespace of its own.
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { executable } from '../support/built.ts';
import { cacheDirectory, isRoot } from '../support/harness.ts';
import { repository } from '../support/repository.ts';
import { assertSaid } from '../support/transcript.ts';

let transcript: readonly string[] = [];
/** With the place of the volume as VOLUME. */
const says = (expected: Readonly<Record<string, readonly string[]>>): void =>
  assertSaid(transcript, expected);
const took = ['0', 'snapshot: took a snapshot of VOLUME'];
const back = ['0', 'snapshot: put VOLUME back to what it was before the restore'];

let directory: string;
before(() => {
  if (!isRoot) throw new Error('only root can make file systems and snapshots');
  mkdirSync(cacheDirectory, { recursive: true, mode: 0o755 });
  directory = mkdtempSync(join(cacheDirectory, 'snapshot-'));
  const scratch = directory;
  const script = join(repository, 'test/vm/snapshot-btrfs');
  const { stdout, stderr } = spawnSync(
    'unshare',
    ['--mount', '--propagation', 'private', script, executable(), scratch],
    { encoding: 'utf8', timeout: 300_000 },
  );
  transcript = `${stdout}${stderr}`
    .replaceAll(join(scratch, 'volume'), 'VOLUME')
    .replaceAll(scratch, 'SCRATCH')
    .replace(/ in \d+\.\d s$/gm, '')
    .split('\n');
});

after(() => {
  if (directory !== undefined) rmSync(directory, { recursive: true, force: true });
});

test('a snapshot is taken, shown as it was then and read-only, and removed', () => {
  says({
    first: ['1 0 /data'],
    pre: took,
    view: ['snapshot btrfs DEVICE VOLUME ro,subvolid=N'],
    frozen: ['before read-only'],
    taken: ['2 1 /data'],
    post: ['0'],
    posted: ['1 0 /data'],
  });
});

test('told twice, it does nothing', () => says({ again: ['0'], 'error-after': ['0'] }));

test('what a session has left goes before the next, and after a failure', () => {
  says({ 'pre-2': took, 'pre-3': [...took, '2 1 /data'], error: ['0'], 'error-left': ['1 0 /data'] });
});

test("somebody else's snapshot of a like name stays", () => says({ others: ['2 0 /data'] }));

test('simulated, it says what it would do, and does nothing', () => {
  says({
    simulated: ['0', 'snapshot: would take a snapshot of VOLUME'],
    'simulated-left': ['1 0 /data'],
  });
});

test('where nobody would look at it, none is taken', () => {
  says({
    blind: [
      '1',
      "snapshot: nobody would look at the snapshot; nothing was stopped (call the backup by 'tklbam-hooks wrap', or tklbam)",
    ],
  });
});

test('a restore that fails is put back, and one that succeeds stays', () => {
  says({
    'no-rollback': ['0'],
    'no-rollback-left': ['1 0 /data'],
    'restore-pre': [...took, ...took],
    'restore-post': ['0'],
    restored: ['restored'],
    'restore-left': ['1 0 /data'],
    'restore-error': back,
    'put-back': ['restored'],
    'put-back-left': ['1 0 /data'],
    'restore-error-again': ['0'],
  });
});

test('a volume in use is not put back, and stays owed', () => {
  says({
    busy: [
      '75',
      "snapshot: VOLUME cannot be unmounted: umount: VOLUME: target is busy. ('tklbam-hooks recover' tries again)",
    ],
    'busy-left': ['2 1 /data'],
    'busy-paid': back,
    'busy-back': ['restored'],
    'busy-end': ['1 0 /data'],
  });
});

test('a way back that was cut off is finished', () => {
  says({ 'cut-1': [...back, 'restored', '1 0 /data'], 'cut-2': [...back, 'restored', '1 0 /data'] });
});

test('what cannot be put back, and what is no volume, is told before anything is done', () => {
  const way = 'nothing was stopped (leave it out, or set ROLLBACK=no)';
  says({
    nested: ['1', `snapshot: VOLUME has subvolumes of its own, which would be lost; ${way}`],
    top: ['1', `snapshot: SCRATCH/whole is no subvolume that is mounted by itself; ${way}`],
    other: [
      '1',
      "snapshot: /proc is on proc of proc, and neither LVM nor btrfs; nothing was stopped (leave it to the hook 'services', which stops what writes there for the whole backup)",
    ],
    none: ['1', 'snapshot: VOLUME/none: there is no such directory; nothing was stopped (mount it)'],
  });
});
