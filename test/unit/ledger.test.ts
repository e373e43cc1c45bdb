// What the one writer of a record knows, beside what is on disk.
import assert from 'node:assert/strict';
import { mkdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { lock, sessionsDirectory } from '../../src/session/flock.ts';
import { type Ledger, openLedger } from '../../src/session/ledger.ts';
import { load } from '../../src/session/session-file.ts';
import type { StartedHook } from '../../src/types.ts';
import { record } from '../support/record.ts';
import { scratch } from '../support/scratch.ts';

const hook = (path: string, attempts = 0): StartedHook => ({ path, attempts, isSettled: false });

function opened(t: TestContext): { ledger: Ledger; directory: string; told: string[] } {
  const directory = join(scratch(t), 'state');
  const own = lock(directory, 'backup', 'session', 0);
  assert.ok(own);
  t.after(() => own.close());
  const told: string[] = [];
  const ledger = openLedger(own, { stateDirectory: directory, operation: 'backup' }, [], record, line =>
    told.push(line),
  );
  ledger.save({ ...record, started: [hook('/d/a')] });
  return { ledger, directory, told };
}

test('each hook is in it once, in the order in which they came, and on disk as well', t => {
  const { ledger, directory, told } = opened(t);
  ledger.update(hook('/d/b'));
  ledger.tryUpdate(hook('/d/c'));
  ledger.update(hook('/d/a', 2));
  const started = [hook('/d/a', 2), hook('/d/b'), hook('/d/c')];
  assert.deepEqual(ledger.record(), { ...record, started });
  assert.deepEqual(ledger.started('/d/a'), hook('/d/a', 2));
  assert.equal(ledger.started('/d/d'), undefined);
  ledger.trySave({ ...ledger.record(), state: 'post' });
  assert.deepEqual(ledger.record(), { ...record, started, state: 'post' });
  const uid = process.geteuid?.() ?? 0;
  assert.deepEqual(load(directory, 'backup', uid), { kind: 'sessions', sessions: [ledger.record()] });
  assert.deepEqual(told, []);
});

test('what cannot be written is not in it, unless the work goes on all the same', t => {
  const { ledger, directory, told } = opened(t);
  renameSync(sessionsDirectory(directory), `${directory}/gone`);
  assert.throws(() => ledger.update(hook('/d/b')), { code: 'ENOENT' });
  assert.deepEqual(ledger.record().started, [hook('/d/a')]);
  for (const path of ['/d/c', '/d/d']) ledger.tryUpdate(hook(path));
  assert.deepEqual(
    ledger.record().started,
    ['/d/a', '/d/c', '/d/d'].map(path => hook(path)),
  );
  assert.equal(told.length, 1);
  mkdirSync(sessionsDirectory(directory));
  ledger.update(hook('/d/e'));
  assert.deepEqual(load(directory, 'backup', process.geteuid?.() ?? 0), {
    kind: 'sessions',
    sessions: [ledger.record()],
  });
});
