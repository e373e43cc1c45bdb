// Processes as /proc has them: who is still there, and who is not although its number is.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { isAlive, processId, stat } from '../../src/system/proc.ts';

test('a process is alive as long as it is that very one, and no zombie', async t => {
  // What it becomes by exec never asks for the status of its child.
  const parent = spawn('sh', ['-c', 'sleep 600 & echo "$!"; exec sleep 600'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const line = await new Promise<Buffer>(resolve => parent.stdout.once('data', resolve));
  const pid = Number(line.toString());
  t.after(() => {
    for (const each of [pid, Number(parent.pid)]) process.kill(each, 'SIGKILL');
    parent.stdout.destroy();
  });
  const id = processId(pid);
  assert.equal(isAlive(id), true);
  assert.equal(isAlive({ ...id, start: Number(id.start) + 1 }), false, 'its number is another process’s');
  assert.equal(isAlive({ ...id, boot: 'earlier' }), false);
  assert.equal(
    isAlive({ pid, start: null, boot: null }),
    true,
    'without /proc, all that is known is the number',
  );
  process.kill(pid, 'SIGKILL');
  while (!stat(pid)?.isZombie) await sleep(10);
  assert.equal(isAlive(id), false);
  assert.match(readFileSync(`/proc/${pid}/stat`, 'latin1'), /\) Z /);
});
