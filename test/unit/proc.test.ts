// Processes as /proc has them: who is still there, and who is not although its number is.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { isAlive, processId } from '../../src/system/proc.ts';
import { makeZombie, startUnwaited } from '../support/zombie.ts';

test('a process is alive as long as it is that very one, and no zombie', async t => {
  const pid = await startUnwaited(t);
  const id = processId(pid);
  assert.equal(isAlive(id), true);
  assert.equal(isAlive({ ...id, start: Number(id.start) + 1 }), false, 'its number is another process’s');
  assert.equal(isAlive({ ...id, boot: 'earlier' }), false);
  assert.equal(
    isAlive({ pid, start: null, boot: null }),
    true,
    'without /proc, all that is known is the number',
  );
  await makeZombie(pid);
  assert.equal(isAlive(id), false);
  assert.match(readFileSync(`/proc/${pid}/stat`, 'latin1'), /\) Z /);
});
