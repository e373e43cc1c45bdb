// A virtual machine of test/vm/image that is booted several times, with its disks as they were when it went down or lost power.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { buildTklbam, deb } from './debs.ts';
import { repository } from './repository.ts';

export interface Machine {
  /** What is in /root/work at each boot: the packages of ours and of the stand-in for tklbam, and what is put there. */
  readonly work: string;
  /** All that the guest said, in all boots. */
  readonly transcript: readonly string[];
  /** Runs a command in the guest. Fails unless it ends with status 0; resolves to whether it asked for a power cut. */
  readonly boot: (...command: readonly string[]) => Promise<boolean>;
}

/** The line by which the guest asks for a power cut. */
const POWER_CUT = 'power-cut\tnow';

/** `extra`: a file for its further disk, which is there. */
export function openMachine(directory: string, image: string, extra?: string): Machine {
  const work = join(directory, 'work');
  mkdirSync(work);
  copyFileSync(deb, join(work, 'tklbam-hooks.deb'));
  buildTklbam(work, '1');
  const transcript: string[] = [];
  const disks = ['-k', join(directory, 'disk'), ...(extra === undefined ? [] : ['-d', extra])];
  return {
    work,
    transcript,
    boot: async (...command) => {
      const machine = spawn(
        join(repository, 'test/vm/run'),
        ['-t', '3600', ...disks, image, work, ...command],
        { stdio: ['ignore', 'pipe', 'inherit'] },
      );
      const ended = once(machine, 'exit');
      let isCut = false;
      for await (const line of createInterface({ input: machine.stdout })) {
        transcript.push(line);
        if (line !== POWER_CUT) continue;
        isCut = true;
        machine.kill('SIGTERM');
      }
      const [status] = await ended;
      assert.equal(status, isCut ? 143 : 0, transcript.join('\n'));
      return isCut;
    },
  };
}
