// Backups with the hook `snapshot`, in each of which somebody is killed, or the machine loses its power (test/vm/snapshot-faults).
import { spawnSync } from 'node:child_process';
import { closeSync, copyFileSync, ftruncateSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { executable } from './built.ts';
import { type Machine, openMachine } from './machine.ts';
import { repository } from './repository.ts';
import { vmImage } from './vm-image.ts';

const script = join(repository, 'test/vm/snapshot-faults');

/** On this machine, on a loop device. What it says: a line for each fault and each violation. */
export function btrfsFaults(scratch: string, count: number, seed: number): string {
  const spaces = ['--mount', '--pid', '--fork', '--mount-proc', '--kill-child', '--propagation', 'private'];
  const words = [script, `${count}`, `${seed}`, 'btrfs', executable(), scratch, repository];
  const { stdout, stderr } = spawnSync('unshare', [...spaces, ...words], { encoding: 'utf8' });
  return stdout + stderr;
}

/** A machine with an empty disk for test/vm/snapshot-lvm, which is in it, as are these files of test/vm. */
export function openVolumeMachine(directory: string): Machine {
  const disk = join(directory, 'volumes');
  const fd = openSync(disk, 'w');
  ftruncateSync(fd, 2500 * 2 ** 20);
  closeSync(fd);
  const machine = openMachine(directory, vmImage('volumes'), disk);
  for (const file of ['snapshot-lvm', 'snapshot-faults', 'counter.py', 'apart', 'postgresql-copy'])
    copyFileSync(join(repository, 'test/vm', file), join(machine.work, file));
  return machine;
}

/** ... in its transcript. */
export async function lvmFaults({ boot, transcript }: Machine, count: number, seed: number): Promise<void> {
  let done = 0;
  while (await boot('bash', 'snapshot-faults', `${count}`, `${seed}`, 'lvm', `${done}`)) {
    const last = transcript.findLast(line => line.startsWith('fault '));
    done = Number(last?.split(/[ :]/)[1]);
  }
}

/** What of that says that something was left. */
export const violations = (text: string): readonly string[] =>
  text.split('\n').filter(line => line.startsWith('violation '));
