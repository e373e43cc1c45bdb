// A session: one operation from `pre` to `post`, or to `error` for each hook that was started in it.
import { statSync } from 'node:fs';
import { escapeControls } from '../cli/text.ts';
import { plan, processTag } from '../hooks/plan.ts';
import { EX_TEMPFAIL, exitStatus, isDeferred } from '../report/exit-status.ts';
import {
  describeChanges,
  describeHolder,
  describeUntold,
  firstError,
  localTime,
  resultEntry,
} from '../report/messages.ts';
import type { Progress } from '../run/execute.ts';
import { bootId, end, isAlive, taggedProcesses } from '../run/process-tree.ts';
import { DEFAULT_GRACE_MS, gracePeriod } from '../system/duration.ts';
import { attempt, describeErrno, errnoOf } from '../system/errno.ts';
import type {
  Environment,
  HookSettings,
  Judged,
  Listing,
  Operation,
  Plan,
  ProcessId,
  Report,
  Result,
  SessionRecord,
  SessionSettings,
  State,
  StatePaths,
  Step,
  Unfinished,
} from '../types.ts';
import type { Log } from './log.ts';
import { hasTraces, type Lock, load, lock, owed } from './session-file.ts';

/** What a session does to the deps, but for its record. */
export interface SessionDeps {
  readonly look: (
    settings: HookSettings,
    env: Environment,
  ) => Promise<{ readonly listings: readonly Listing[]; readonly judged: readonly Judged[] }>;
  /** Runs a plan, tells of each failure, and ends with the report. Left early, it starts no further hook. */
  readonly carryOut: (
    plan: Plan,
  ) => AsyncGenerator<Progress | { readonly kind: 'over'; readonly report: Report }>;
  readonly tell: (line: string) => void;
  readonly log: Log;
  readonly self: ProcessId;
  readonly caller: SessionRecord['caller'];
}

/** What the caller gets for each state that it has come to. */
export interface Answer {
  /** As `exitStatus` has it; 75 if a hook of `pre` puts the operation off. */
  readonly status: number;
  /** What went wrong, a line without `HookError: `; undefined if all is well. */
  readonly error: string | undefined;
  readonly results: readonly Result[];
}

export type Stage = Exclude<State, 'error'>;

export interface Session {
  /** Whether the operation can come to that state now: `pre` first, `inspect` if at all before `post`, each once. */
  readonly canFollow: (stage: Stage) => boolean;
  /** Runs the hooks of a state, and those of `error` if that fails. */
  readonly advance: (stage: Stage, cwd: string, env: Environment) => Promise<Answer>;
  /** The operation has failed: runs the hooks of `error`, unless no session has begun or it is over. */
  readonly fail: (error: string) => Promise<void>;
  readonly isOver: () => boolean;
}

const OPERATIONS: readonly Operation[] = ['backup', 'restore'];
const STAGES: readonly Stage[] = ['pre', 'inspect', 'post'];

/** Nothing is done before `pre`. `interruption` says why the operation cannot go on, though no hook has failed. */
export function openSession(
  settings: SessionSettings,
  deps: SessionDeps,
  interruption: () => string | undefined,
): Session {
  const { operation } = settings;
  let held: { readonly lock: Lock; record: SessionRecord } | undefined;
  let latest: { readonly stage: Stage; readonly cwd: string; readonly env: Environment } | undefined;
  let planOfPre: Plan | undefined;
  let isOver = false;

  const advance = async (stage: Stage, cwd: string, env: Environment): Promise<Answer> => {
    latest = { stage, cwd, env };
    if (stage === 'pre') {
      const begun = await begin(settings, env, deps);
      if (typeof begun === 'string') {
        isOver = true;
        deps.tell(`HookError: ${begun}`);
        return { status: 1, error: begun, results: [] };
      }
      held = begun;
    }
    if (held === undefined) throw new Error(`${stage} before pre`);
    const { lock } = held;
    const { listings, judged } = await deps.look(settings, env);
    const event = { operation, state: stage };
    const whole = plan({ ...settings, event, only: [], cwd }, listings, judged, env, held.record.session);
    if (stage === 'pre') planOfPre = whole;
    else {
      held.record = { ...held.record, state: stage };
      keep(lock, held.record, deps);
    }
    if (stage === 'post' && planOfPre !== undefined) describeChanges(planOfPre, whole).forEach(deps.tell);

    const report = await runRecorded(whole, held, deps);
    const cause = interruption();
    if (cause !== undefined) deps.tell(`tklbam-hooks: ${cause}`);
    const failure = cause === undefined ? report.failure : { error: cause, failed: '' };
    if (failure === undefined) {
      if (stage === 'post') over(undefined);
      return { status: 0, error: undefined, results: report.results };
    }
    await tellFailure(lock, failure);
    const status = isDeferred(report) ? EX_TEMPFAIL : exitStatus(report) || 1;
    return { status, error: failure.error, results: report.results };
  };

  const over = (error: string | undefined): void => {
    isOver = true;
    if (held === undefined) return;
    conclude(held.lock, held.record, deps, error);
    held.lock.close();
  };

  const tellFailure = async (lock: Lock, failure: Failed): Promise<void> => {
    isOver = true;
    if (held === undefined || latest === undefined) return;
    const record: SessionRecord = { ...held.record, ...failure, state: 'error' };
    keep(lock, record, deps);
    await tellOwed(lock, record, latest.cwd, latest.env, deps);
    held.record = record;
    over(failure.error);
  };

  return {
    canFollow: stage => {
      const previous = latest?.stage;
      if (isOver || previous === undefined) return !isOver && stage === 'pre';
      return STAGES.indexOf(stage) > STAGES.indexOf(previous);
    },
    advance,
    fail: async error => {
      if (held === undefined || isOver) return;
      deps.tell(`tklbam-hooks: ${error}`);
      await tellFailure(held.lock, { error, failed: '' });
    },
    isOver: () => isOver,
  };
}

interface Failed {
  readonly error: string;
  readonly failed: string;
}

/** The lock and the record of a new session, when all that were cut off have been recovered; or why there is none. */
async function begin(
  { operation, statePaths, sources, keyrings, timeoutMs }: SessionSettings,
  env: Environment,
  deps: SessionDeps,
): Promise<{ readonly lock: Lock; record: SessionRecord } | string> {
  let mine: Lock | undefined;
  try {
    mine = lock(statePaths.stateDirectory, operation);
    if (mine === undefined) {
      const other = load(statePaths.stateDirectory, operation);
      return describeHolder(operation, typeof other === 'string' ? undefined : other);
    }
    await recoverLocked(mine, operation, env, deps);
    await recover(
      statePaths,
      env,
      deps,
      OPERATIONS.filter(each => each !== operation),
    );
    const now = new Date();
    const record: SessionRecord = {
      session: `${now.getTime().toString(36)}-${deps.self.pid}`,
      operation,
      since: now.toISOString(),
      guardian: deps.self,
      caller: deps.caller,
      state: 'pre',
      sources,
      keyrings: keyrings ?? null,
      timeoutMs: timeoutMs ?? null,
      marks: Object.fromEntries(MARKS.flatMap(name => (env[name] ? [[name, env[name]]] : []))),
      started: [],
      told: [],
      error: null,
      failed: '',
    };
    mine.save(record);
    mine.note(undefined);
    return { lock: mine, record };
  } catch (error) {
    mine?.close();
    return `${describeRecordFault(statePaths.stateDirectory, error)}, no hook was run`;
  }
}

/** What else of the environment a hook of `error` needs, should we not be there any more to tell it. */
const MARKS = ['TKLBAM_HOOK_RESUME', 'TKLBAM_HOOK_SIMULATE'];

const describeRecordFault = (directory: string, error: unknown): string =>
  `cannot record the session in '${escapeControls(directory)}': ${describeErrno(errnoOf(error))}`;

/** Runs a plan, with each hook in the record before it starts. */
async function runRecorded(
  whole: Plan,
  held: { readonly lock: Lock; record: SessionRecord },
  deps: SessionDeps,
): Promise<Report & { readonly failure: Failed | undefined }> {
  const { lock } = held;
  const results: Result[] = [];
  let report: Report = { plan: whole, results, interruption: undefined };
  let startedAt = new Date();
  let isNew = false;
  for await (const progress of deps.carryOut(whole)) {
    if (progress.kind === 'over') {
      report = progress.report;
      continue;
    }
    if (progress.kind === 'starts') {
      startedAt = new Date();
      const { path } = progress.step.hook;
      isNew = !held.record.started.includes(path);
      if (isNew) {
        const next: SessionRecord = { ...held.record, started: [...held.record.started, path] };
        try {
          lock.save(next);
        } catch (error) {
          const fault = `'${escapeControls(path)}' ${describeUnrecorded(error)}`;
          if (whole.stopAtFailure) {
            deps.tell(`HookError: ${fault}, not starting it`);
            return { ...report, failure: { error: fault, failed: progress.step.hook.name } };
          }
          deps.tell(`tklbam-hooks: ${fault}, starting it all the same`);
        }
        held.record = next;
      }
      lock.note(processTag(progress.step));
      continue;
    }
    results.push(progress.result);
    lock.note(undefined);
    logResult(held.record, progress.result, startedAt, deps);
    if (isNew && progress.result.outcome.kind === 'not-started') {
      const { path } = progress.result.step.hook;
      held.record = { ...held.record, started: held.record.started.filter(each => each !== path) };
      keep(lock, held.record, deps);
    }
  }
  return { ...report, failure: firstError(report) };
}

const describeUnrecorded = (error: unknown): string =>
  `cannot be recorded as started: ${describeErrno(errnoOf(error))}`;

/** Saves it if that can be done: what is on disk otherwise is older, and hooks would be told once more. */
function keep(lock: Lock, record: SessionRecord, deps: SessionDeps): void {
  try {
    lock.save(record);
  } catch (error) {
    deps.tell(
      `tklbam-hooks: cannot bring the record of the session up to date: ${describeErrno(errnoOf(error))}, going on`,
    );
  }
}

/**
 * Sends `error` to each hook that is owed it, whatever becomes of the others. Resolves to 0, or to 128+n if signal n ended that: the
 * rest is still owed then.
 */
async function tellOwed(
  lock: Lock,
  cutOff: SessionRecord,
  cwd: string,
  env: Environment,
  deps: SessionDeps,
): Promise<number> {
  let record = cutOff;
  const paths = owed(record);
  if (paths.length === 0) return 0;
  const settings: HookSettings = {
    sources: record.sources,
    keyrings: record.keyrings ?? undefined,
    timeoutMs: record.timeoutMs ?? undefined,
  };
  const theirs: Environment = {
    ...env,
    ...record.marks,
    TKLBAM_HOOK_ERROR: record.error ?? '',
    TKLBAM_HOOK_FAILED: record.failed,
  };
  const { listings, judged } = await deps.look(settings, theirs);
  const event = { operation: record.operation, state: 'error' } as const;
  // A hook must not fail to start because the backup's own directory is gone with it.
  const where = attempt(() => statSync(cwd).isDirectory()) === true ? cwd : '/';
  const whole = plan({ ...settings, event, only: [], cwd: where }, listings, judged, theirs, record.session);
  const steps: Step[] = [];
  for (const path of paths) {
    const step = whole.steps.find(({ hook }) => hook.path === path);
    if (step !== undefined) steps.push({ ...step, failure: 'note' });
    else deps.tell(describeUntold(path, judged.find(({ hook }) => hook.path === path)?.verdict));
  }
  let startedAt = new Date();
  for await (const progress of deps.carryOut({ ...whole, steps, failures: [], warnings: [] })) {
    if (progress.kind === 'over') return exitStatus(progress.report);
    if (progress.kind === 'starts') {
      startedAt = new Date();
      lock.note(processTag(progress.step));
      continue;
    }
    lock.note(undefined);
    logResult(record, progress.result, startedAt, deps);
    if (progress.result.outcome.kind === 'interrupted') continue;
    record = { ...record, told: [...record.told, progress.result.step.hook.path] };
    keep(lock, record, deps);
  }
  return 0;
}

function logResult(
  { session, operation }: SessionRecord,
  result: Result,
  startedAt: Date,
  { log }: SessionDeps,
): void {
  const { step } = result;
  const [, state] = step.args;
  const time = startedAt.toISOString();
  log.write({ type: 'hook', time, session, operation, state, hook: step.hook.name, ...resultEntry(result) });
}

function conclude(lock: Lock, record: SessionRecord, deps: SessionDeps, error: string | undefined): void {
  const { session, operation, since } = record;
  deps.log.write({
    type: 'session',
    time: since,
    session,
    operation,
    outcome: error === undefined ? 'succeeded' : 'failed',
    error: error ?? null,
    // By the clock, which may have been set meanwhile: other processes may have begun it.
    seconds: Math.max(0, Math.round((Date.now() - Date.parse(since)) / 1000)),
  });
  try {
    lock.remove();
  } catch (fault) {
    const text = `cannot remove the record of the session: ${describeErrno(errnoOf(fault))}`;
    deps.tell(`tklbam-hooks: ${text}, its hooks will be told 'error' once more (tklbam-hooks recover)`);
  }
}

/** The sessions that there are records of. */
export const unfinished = ({ stateDirectory }: StatePaths): Unfinished[] =>
  OPERATIONS.flatMap((operation): Unfinished[] => {
    const found = load(stateDirectory, operation);
    if (found === 'absent') return [];
    if (found === 'unreadable') return [{ operation, record: undefined, isRunning: false }];
    return [{ operation, record: found, isRunning: isAlive(found.guardian) }];
  });

/** Sends `error` for each session whose guardian is gone. Resolves to 0, or to 128+n if signal n ended that. */
export async function recover(
  { stateDirectory }: StatePaths,
  env: Environment,
  deps: SessionDeps,
  operations = OPERATIONS,
): Promise<number> {
  let status = 0;
  for (const operation of operations) {
    if (!hasTraces(stateDirectory, operation)) continue;
    const found = load(stateDirectory, operation);
    if (typeof found === 'object' && isAlive(found.guardian)) continue;
    const theirs = lock(stateDirectory, operation);
    if (theirs === undefined) continue;
    try {
      status ||= await recoverLocked(theirs, operation, env, deps);
    } finally {
      theirs.close();
    }
  }
  return status;
}

async function recoverLocked(
  theirs: Lock,
  operation: Operation,
  env: Environment,
  deps: SessionDeps,
): Promise<number> {
  const found = theirs.load();
  if (found === 'absent') return 0;
  if (found === 'unreadable') {
    const text = `the record of a ${operation} session cannot be understood, keeping it as '${escapeControls(theirs.setAside())}'`;
    deps.tell(`tklbam-hooks: ${text}; what its hooks stopped may still be stopped`);
    return 0;
  }
  const how =
    found.guardian.boot === bootId()
      ? `its guardian (pid ${found.guardian.pid}) was killed`
      : 'the machine went down';
  const cause = `was cut off when ${how} (last state: ${found.state})`;
  deps.tell(`tklbam-hooks: the ${operation} of ${localTime(found.since)} ${cause}: telling its hooks`);
  const mark = theirs.noted();
  if (mark?.includes(`TKLBAM_HOOK_SESSION=${found.session}`)) {
    const graceMs = gracePeriod(env) ?? DEFAULT_GRACE_MS;
    await end(taggedProcesses(mark), 'SIGTERM', graceMs, new AbortController().signal);
  }
  const error = found.error ?? `the ${operation} ${cause}`;
  const record: SessionRecord = { ...found, guardian: deps.self, state: 'error', error };
  keep(theirs, record, deps);
  const status = await tellOwed(theirs, record, '/', env, deps);
  if (status === 0) conclude(theirs, record, deps, error);
  return status;
}
