// The standard error of hooks, and those who write to it.
import assert from 'node:assert/strict';
import { openSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { openOutputTail } from '../../src/run/output-tail.ts';
import { scratch } from '../support/scratch.ts';

/** Indices of what the threads share. */
const [WRITER, PAUSE, CLOSED] = [0, 1, 2];

/** Closes each descriptor that it is given, after a pause of so many turns. Ends us if a whole minute later we still wait for a writer. */
const LAST_WRITER = `const { closeSync, writeSync } = require('node:fs');
const shared = require('node:worker_threads').workerData;
for (let round = 1; ; round++) {
  let fd = 0;
  while ((fd = Atomics.exchange(shared, ${WRITER}, 0)) === 0);
  for (let turns = Atomics.load(shared, ${PAUSE}); turns > 0; turns--) Atomics.load(shared, ${PAUSE});
  closeSync(fd);
  if (Atomics.wait(shared, ${CLOSED}, round - 1, 60_000) !== 'timed-out') continue;
  writeSync(2, 'close() waits for somebody who writes to it\\n');
  process.kill(process.pid, 'SIGKILL');
}`;

test('it is closed at once, whenever the last who writes to it goes', async t => {
  const directory = scratch(t);
  const shared = new Int32Array(new SharedArrayBuffer(12));
  const worker = new Worker(LAST_WRITER, {
    eval: true,
    workerData: shared,
    // They are opened in the other thread.
    trackUnmanagedFds: false,
  });
  t.after(() => worker.terminate());
  const rounds = 200;
  for (let round = 1; round <= rounds; round++) {
    const tail = await openOutputTail(join(directory, 'stderr'), () => {});
    assert.ok(tail);
    Atomics.store(shared, PAUSE, (round % 50) * 200);
    Atomics.store(shared, WRITER, openSync(`/proc/self/fd/${tail.fd}`, 'w'));
    while (Atomics.load(shared, WRITER) !== 0);
    tail.close();
    Atomics.store(shared, CLOSED, round);
    Atomics.notify(shared, CLOSED);
  }
});
