// What is told of sessions, and the status that a run ends with: a line for each case.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NO_HEADER } from '../../src/hooks/header.ts';
import { commandStatus, exitStatus, isDeferred, isFailure } from '../../src/report/exit-status.ts';
import {
  describeChanges,
  describeCommand,
  describeCutOff,
  describeDeferral,
  describeExhausted,
  describeHolder,
  describeNotification,
  describePending,
  describeStateFault,
  describeUntold,
  localTime,
} from '../../src/report/session-messages.ts';
import type { Candidate, Failure, Outcome, Plan, Result, State, Step } from '../../src/types.ts';
import { record, since } from '../support/record.ts';

const hook = (name: string, size = 1): Candidate => ({
  source: { kind: 'local', directory: '/d' },
  name,
  bytes: Buffer.from(name),
  path: `/d/${name}`,
  link: undefined,
  file: { type: 'file', size, uid: 0, gid: 0, mode: 0o755, modifiedMs: 0 },
  program: { kind: 'shell-text' },
  access: 'ok',
  interpreters: [],
  ancestorDirs: [],
  header: NO_HEADER,
});
const step = (name: string, state: State, failure: Step['failure'] = 'stop', size = 1): Step => ({
  hook: hook(name, size),
  args: ['backup', state],
  cwd: '/',
  env: {},
  timeoutMs: undefined,
  graceMs: 0,
  failure,
});
const result = (outcome: Outcome, state: State = 'pre', failure?: Step['failure']): Result => ({
  step: step('a', state, failure),
  outcome,
  durationMs: 0,
  output: '',
});
const FAILED: Outcome = { kind: 'failed', status: 3 };

test('how a command ended', () => {
  const cases: readonly (readonly [Outcome, string, number])[] = [
    [FAILED, "'restic' exited with status 3", 3],
    [{ kind: 'killed', signal: 'SIGKILL' }, "'restic' killed by signal SIGKILL", 137],
    [{ kind: 'failed', status: 127 }, "'restic' exited with status 127", 127],
    [
      { kind: 'not-started', defect: { kind: 'system', code: 'ENOENT' } },
      "'restic' could not be started: it is not in PATH, or its interpreter is missing",
      127,
    ],
  ];
  for (const [outcome, text, status] of cases) {
    assert.equal(describeCommand('restic', outcome), text);
    assert.equal(commandStatus(outcome), status);
  }
  assert.match(
    describeCommand('a\nb', { kind: 'not-started', defect: { kind: 'system', code: 'EACCES' } }),
    /^'a\\x0ab' could not be started: permission denied \(/,
  );
  assert.equal(commandStatus({ kind: 'not-started', defect: { kind: 'system', code: 'EACCES' } }), 126);
  assert.equal(commandStatus({ kind: 'timed-out', afterMs: 1 }), 124);
  assert.equal(commandStatus({ kind: 'interrupted', signal: 'SIGINT' }), 130);
  assert.equal(commandStatus({ kind: 'succeeded' }), 0);
  assert.equal(describeDeferral('restic'), "tklbam-hooks: not now (status 75), 'restic' was not run");
});

test('what comes of a failure in error', () => {
  const failed = result(FAILED, 'error');
  const hook = "tklbam-hooks: '/d/a backup error' non-zero exitcode (3)";
  const again = "it is told again by the next session, at boot, or by 'tklbam-hooks recover'";
  assert.equal(describeNotification(failed, 0, false), `${hook}, ${again}`);
  assert.equal(describeNotification(failed, 1, false), `${hook} (attempt 1 of 3), ${again}`);
  assert.equal(
    describeNotification(failed, 1, true),
    `${hook} (attempt 1 of 3), it is told again when the machine is up again`,
  );
  assert.equal(
    describeNotification(failed, 3, false),
    `${hook}, it is not told again: see to what it does by hand, then 'tklbam-hooks recover --forget backup'`,
  );
});

test('who is still to be told, and who no more', () => {
  assert.equal(describePending(record), '/d/d\\u{202e} backup error\n/d/b backup error\n');
  assert.deepEqual(describeExhausted(record), [
    `tklbam-hooks: '/d/a' failed 3 times when it was told that the backup of ${localTime(since)} had failed: see to what it does by hand, then 'tklbam-hooks recover --forget backup'`,
  ]);
  for (const [verdict, why] of [
    [undefined, 'it is not there'],
    [{ kind: 'skip', why: 'disabled' }, 'it is not executable (chmod +x enables it)'],
    [{ kind: 'refuse', refusal: { kind: 'set-id' } }, /^\S.*set/],
    [{ kind: 'run' }, 'it cannot be started'],
  ] as const) {
    const text = describeUntold('/d/a', verdict);
    const [, reason = ''] =
      /^tklbam-hooks: '\/d\/a' was started, and cannot be told what went wrong: (.*); it stays owed$/.exec(
        text,
      ) ?? [];
    if (typeof why === 'string') assert.equal(reason, why);
    else assert.match(reason, why);
  }
});

test('how a session was cut off', () => {
  assert.equal(
    describeCutOff(record, 'b'),
    'was cut off when its guardian (pid 7) was killed (last state: inspect)',
  );
  assert.equal(describeCutOff(record, 'c'), 'was cut off when the machine went down (last state: inspect)');
  assert.match(describeCutOff({ ...record, command: 'restic' }, 'b'), /\(while 'restic' ran\)$/);
});

test('why there is no session', () => {
  assert.equal(
    describeHolder(record),
    `another session is running: the backup 'restic', pid 7, since ${localTime(since)}, called by 'tkl\\x0abam' (pid 6); no hook was run`,
  );
  assert.equal(
    describeHolder(undefined),
    'another session is just beginning or ending, no hook was run (try again)',
  );
  assert.equal(
    describeStateFault('/s', 'ENOSPC'),
    "cannot record the session in '/s': no space left on the device (ENOSPC), no hook was run",
  );
});

test('a time that is none stays as it is', () => {
  assert.equal(localTime('yester\nday'), 'yester\\x0aday');
  assert.match(localTime(since), /^2026-11-2[45] \d\d:\d\d:03$/);
});

test('where the zone is written as POSIX has it, which Node.js takes for UTC, that is said', t => {
  const { TZ } = process.env;
  t.after(() => {
    if (TZ === undefined) delete process.env.TZ;
    else process.env.TZ = TZ;
  });
  for (const [zone, ending] of [
    ['CET-1CEST', ' UTC'],
    ['<+03>-3', ' UTC'],
    ['Europe/Berlin', ''],
    ['UTC', ''],
  ] as const) {
    process.env.TZ = zone;
    assert.match(localTime(since), new RegExp(`^2026-11-2[45] \\d\\d:\\d\\d:03${ending}$`), zone);
  }
});

const planned = (state: State, steps: readonly Step[], failures: readonly Failure[] = []): Plan => ({
  event: { operation: 'backup', state },
  stopAtFailure: state === 'pre' || state === 'inspect',
  steps,
  entries: [],
  failures,
  warnings: [],
});

test('what changed since pre', () => {
  const before = planned('pre', [step('a', 'pre'), step('b', 'pre'), step('c', 'pre')]);
  const after = planned('post', [step('d\n', 'post'), step('c', 'post', 'stop', 2), step('a', 'post')]);
  assert.deepEqual(describeChanges(before, after), [
    "tklbam-hooks: '/d/d\\x0a' came, or was switched on, since pre",
    "tklbam-hooks: '/d/c' was changed since pre",
  ]);
});

test('the exit status, the most serious first', () => {
  const refused: Failure = { kind: 'refused', hook: hook('a'), refusal: { kind: 'set-id' } };
  const broken: Failure = { kind: 'broken', hook: hook('a'), defect: { kind: 'noexec' } };
  const notAHook: Failure = { kind: 'not-a-hook', name: 'x', why: undefined };
  const gone: Failure = { kind: 'gone', path: '/d/a', verdict: undefined };
  const status = (
    failures: readonly Failure[],
    results: readonly Result[] = [],
    interruption?: NodeJS.Signals,
  ): number => exitStatus({ plan: planned('pre', [], failures), results, interruption });
  assert.equal(status([]), 0);
  assert.equal(status([], [result({ kind: 'succeeded' })]), 0);
  assert.equal(status([], [result(FAILED, 'pre', 'warn')]), 0);
  assert.equal(status([], [result(FAILED, 'error', 'note')]), 0);
  assert.equal(status([], [result(FAILED)]), 1);
  assert.equal(status([broken]), 1);
  assert.equal(status([gone]), 1);
  assert.equal(status([broken, notAHook]), 2);
  assert.equal(status([notAHook, broken, refused]), 3);
  for (const [signal, expected] of [
    ['SIGHUP', 129],
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)
    assert.equal(status([refused], [result(FAILED)], signal), expected);
  assert.equal(isFailure(result({ kind: 'interrupted', signal: 'SIGTERM' }, 'pre', 'warn')), true);
});

test('75 puts off in pre alone, and not where a failure is a warning', () => {
  const deferred = (state: State, failure?: Step['failure'], code = 75): boolean =>
    isDeferred({
      plan: planned(state, []),
      results: [result({ kind: 'failed', status: code }, state, failure)],
      interruption: undefined,
    });
  assert.deepEqual(
    [
      deferred('pre'),
      deferred('pre', 'warn'),
      deferred('inspect'),
      deferred('post'),
      deferred('pre', 'stop', 74),
    ],
    [true, false, false, false, false],
  );
});
