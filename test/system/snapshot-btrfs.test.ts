// The hook `snapshot` on btrfs, on a loop device, with what each Debian has of btrfs-progs and util-linux.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { inRootDirectory, openChroot, SOURCE } from '../support/chroot.ts';
import { RELEASES } from '../support/releases.ts';
import { assertSaid } from '../support/transcript.ts';

const took = ['0', 'snapshot: took a snapshot of VOLUME'];
const back = ['0', 'snapshot: put VOLUME back to what it was before the restore'];

for (const suite of RELEASES) {
  test(suite, async t => {
    const { root, run } = openChroot(t, suite, ['btrfs-progs', 'e2fsprogs', 'procps', 'python3']);
    const SCRATCH = '/scratch';
    mkdirSync(join(root, SCRATCH), { mode: 0o755 });
    const script = `exec ${SOURCE}/test/vm/snapshot-btrfs ${SOURCE}/dist/tklbam-hooks ${SCRATCH}`;
    const { stdout, stderr } = run(inRootDirectory(root, script));
    await shows(
      t,
      `${stdout}${stderr}`
        .replaceAll(`${SCRATCH}/volume`, 'VOLUME')
        .replaceAll(SCRATCH, 'SCRATCH')
        .replace(/ in \d+\.\d s$/gm, '')
        .split('\n'),
    );
  });
}

/** With the place of the volume as VOLUME. */
async function shows(t: TestContext, transcript: readonly string[]): Promise<void> {
  const says = (expected: Readonly<Record<string, readonly string[]>>): void =>
    assertSaid(transcript, expected);

  await t.test('a snapshot is taken, shown as it was then and read-only, and removed', () => {
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

  await t.test('told twice, it does nothing', () => says({ again: ['0'], 'error-after': ['0'] }));

  await t.test('what a session has left goes before the next, and after a failure', () => {
    says({ 'pre-2': took, 'pre-3': [...took, '2 1 /data'], error: ['0'], 'error-left': ['1 0 /data'] });
  });

  await t.test("somebody else's snapshot of a like name stays", () => says({ others: ['2 0 /data'] }));

  await t.test('simulated, it says what it would do, and does nothing', () => {
    says({
      simulated: ['0', 'snapshot: would take a snapshot of VOLUME'],
      'simulated-left': ['1 0 /data'],
    });
  });

  await t.test('where nobody would look at it, none is taken', () => {
    says({
      blind: [
        '1',
        "snapshot: nobody would look at the snapshot; nothing was stopped (call the backup by 'tklbam-hooks wrap', or tklbam)",
      ],
    });
  });

  await t.test('a restore that fails is put back, and one that succeeds stays', () => {
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

  await t.test('a volume in use is not put back, and stays owed', () => {
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

  await t.test('a way back that was cut off is finished', () => {
    says({
      'cut-1': [...back, '0 ', 'restored', '1 0 /data'],
      'cut-2': [...back, '0 ', 'restored', '1 0 /data'],
    });
  });

  await t.test('what cannot be put back, and what is no volume, is told before anything is done', () => {
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
}
