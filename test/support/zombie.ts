// A process that has ended, and whose parent never asks for its status.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { stat } from '../../src/system/proc.ts';

/** The pid of a process that sleeps, below one that never waits for it, until the end of the test. */
export async function startUnwaited(t: TestContext): Promise<number> {
  // What it becomes by exec knows of no child.
  const parent = spawn('sh', ['-c', 'sleep 600 & echo "$!"; exec sleep 600'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const [line] = await once(parent.stdout, 'data');
  const pid = Number(String(line));
  t.after(() => {
    for (const each of [pid, Number(parent.pid)]) process.kill(each, 'SIGKILL');
    parent.stdout.destroy();
  });
  return pid;
}

/** Ends it, and waits for that. */
export async function makeZombie(pid: number): Promise<void> {
  process.kill(pid, 'SIGKILL');
  while (!stat(pid)?.isZombie) await sleep(10);
}
