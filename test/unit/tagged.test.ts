// Processes by the tag in their environment.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { tagged } from '../../src/run/tagged.ts';

test('a process is found by its tag within what is left of a limit, a part of a millisecond too', async () => {
  const env = { TAG: 'one', OTHER: 'two' };
  const child = spawn('/bin/sh', ['-c', 'echo; read line'], { env, stdio: ['pipe', 'pipe', 'ignore'] });
  await once(child.stdout, 'data');
  const pid = child.pid ?? 0;
  try {
    const limitMs = 60_000.079;
    assert.deepEqual(await tagged([pid], ['TAG=one'], limitMs), { found: [pid], asked: [pid] });
    assert.deepEqual(await tagged([pid], ['TAG=on'], limitMs), { found: [], asked: [pid] });
  } finally {
    child.stdin.end();
    await once(child, 'exit');
  }
});
