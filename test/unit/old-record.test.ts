// Records of versions before 1.2.0: one session, in the state directory itself.
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { forget, recover, unfinished } from '../../src/session/recovery.ts';
import { loadOld, save } from '../../src/session/session-file.ts';
import { processId } from '../../src/system/proc.ts';
import type { ProcessId, SessionRecord } from '../../src/types.ts';
import { DIRECTORY, type Fake, fake } from '../support/fake-session.ts';

const dead: ProcessId = { pid: 2 ** 22 + 1, start: 1, boot: null };

/** With a record as 1.1.0 wrote it: hooks `a` and `b` were started, and `b` was told. */
function old(t: TestContext, guardian = dead, changes: object = {}): Fake {
  const made = fake(t, 'a', 'b');
  const { stateDirectory } = made.statePaths;
  const record = {
    session: 'mabc-7',
    operation: 'backup',
    since: '2026-11-24T01:00:00.000Z',
    guardian,
    caller: { pid: 6, name: 'tklbam-backup' },
    state: 'error',
    sources: [{ kind: 'local', directory: DIRECTORY }],
    keyrings: null,
    timeoutMs: 21_600_000,
    marks: { TKLBAM_HOOK_RESUME: 'yes' },
    started: [`${DIRECTORY}/a`, `${DIRECTORY}/b`],
    told: [`${DIRECTORY}/b`],
    error: 'duplicity failed',
    failed: '',
    ...changes,
  };
  mkdirSync(stateDirectory, { mode: 0o700 });
  writeFileSync(join(stateDirectory, 'backup.json'), `${JSON.stringify(record)}\n`, { mode: 0o600 });
  writeFileSync(join(stateDirectory, 'backup.lock'), '', { mode: 0o600 });
  return made;
}

const kinds = ({ statePaths, deps }: Fake): string[] =>
  unfinished(statePaths, deps.uid).map(({ kind }) => kind);

/** In the state directory, and in its `sessions`. */
const left = (made: Fake): string[] => [
  ...readdirSync(made.statePaths.stateDirectory).sort(),
  ...made.files(),
];

/** What the old record says, recorded in the new form, besides the old. */
function keep(made: Fake, changes: Partial<SessionRecord>): void {
  const { stateDirectory } = made.statePaths;
  const found = loadOld(stateDirectory, 'backup', made.deps.uid);
  assert.ok(found.kind === 'sessions');
  mkdirSync(join(stateDirectory, 'sessions'), { mode: 0o700 });
  save(
    stateDirectory,
    'backup',
    found.sessions.map(each => ({ ...each, ...changes })),
  );
}

test('what 1.1.0 left cut off is told to who was not told, with what it knew, and goes', async t => {
  const made = old(t);
  assert.deepEqual(kinds(made), ['cut-off']);
  await recover(made.statePaths, ['backup'], {}, made.deps);
  assert.deepEqual(made.told, ['a error']);
  const [env] = made.environments;
  assert.deepEqual(
    [env?.TKLBAM_HOOK_SESSION, env?.TKLBAM_HOOK_ERROR, env?.TKLBAM_HOOK_RESUME],
    ['mabc-7', 'duplicity failed', 'yes'],
  );
  assert.deepEqual(made.outcomes(), ['failed']);
  assert.deepEqual(left(made), ['sessions']);
});

test('it is kept in the new form, beside what is owed already, before its hooks are told', async t => {
  const made = old(t);
  keep(made, { session: 'mabb-5', isOver: true });
  made.listingError = () => new Error('killed');
  await assert.rejects(recover(made.statePaths, ['backup'], {}, made.deps), /killed/);
  assert.deepEqual(
    made.records().map(({ session }) => session),
    ['mabb-5', 'mabc-7'],
  );
  assert.deepEqual(left(made), ['sessions', 'backup.json']);
});

test('one who was killed when it had kept that, and not yet removed the old, has it once', async t => {
  const made = old(t);
  keep(made, {});
  await recover(made.statePaths, ['backup'], {}, made.deps);
  assert.deepEqual(made.told, ['a error']);
  assert.deepEqual(left(made), ['sessions']);
});

test('one that runs, begun before the upgrade: no second session; nothing is told or forgotten', async t => {
  const made = old(t, processId(process.pid), { state: 'inspect', error: null });
  assert.deepEqual(kinds(made), ['running']);
  await recover(made.statePaths, ['backup'], {}, made.deps);
  assert.equal(forget(made.statePaths, 'backup', made.deps), undefined);
  const { status, error } = await made.session().advance('pre', '/', {});
  assert.equal(status, 75);
  assert.match(
    error ?? '',
    /^another session is running: the backup 'tklbam-backup', pid \d+, since .*, called by 'tklbam-backup'/,
  );
  assert.deepEqual([made.told, made.said], [[], [`HookError: ${error}`]]);
  assert.ok(left(made).includes('backup.json'));
});

test('one that came back with a restore is put aside, and nobody is told', async t => {
  const made = old(t);
  const yesterday = Date.now() / 1000 - 86_400;
  utimesSync(join(made.statePaths.stateDirectory, 'backup.json'), yesterday, yesterday);
  assert.deepEqual(kinds(made), ['copy']);
  await recover(made.statePaths, ['backup'], {}, made.deps);
  assert.deepEqual(made.told, []);
  assert.match(
    made.said.join('\n'),
    /: it came back with a restore or a copy; keeping it as '.*\/state\/backup\.json\.copy', no hook is told$/,
  );
  assert.deepEqual(left(made), ['backup.json.copy', 'backup.lock', 'sessions']);
});

test('one that cannot be understood is kept, and that is said', async t => {
  for (const changes of [{ started: 'a' }, { told: null }, { operation: 'restore' }, { guardian: {} }]) {
    const made = old(t, dead, changes);
    await recover(made.statePaths, ['backup'], {}, made.deps);
    assert.deepEqual(made.told, []);
    assert.match(made.said.join(), /cannot be understood, keeping it as '.*\/state\/backup\.json\.bad'/);
    assert.ok(left(made).includes('backup.json.bad'));
  }
});

test('what is owed since before the upgrade can be forgotten', t => {
  const made = old(t);
  const forgotten = forget(made.statePaths, 'backup', made.deps) ?? [];
  assert.deepEqual(
    forgotten.map(({ session }) => session),
    ['mabc-7'],
  );
  assert.deepEqual(made.outcomes(), ['forgotten']);
  assert.deepEqual(left(made), ['sessions']);
});
