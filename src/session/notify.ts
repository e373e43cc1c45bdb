// State `error`: told to each hook that is owed it, and to those that want to hear of every failure.
import { plan } from '../hooks/plan.ts';
import { resultEntry } from '../report/messages.ts';
import {
  describeDeafHook,
  describeNotification,
  describeRetry,
  describeUntold,
} from '../report/session-messages.ts';
import type { Observer } from '../run/execute.ts';
import { uptime } from '../system/machine.ts';
import type {
  Environment,
  HookSettings,
  LoadedHooks,
  Operation,
  Plan,
  Report,
  Result,
  ResultEntry,
  SessionEntry,
  SessionOutcome,
  SessionRecord,
  Step,
  Trouble,
} from '../types.ts';
import type { SessionDeps } from './deps.ts';
import type { Ledger } from './ledger.ts';
import { owing, pending } from './session-file.ts';

/** What `error` is told of. */
export interface Failed extends Trouble, HookSettings {
  readonly operation: Operation;
  readonly session: string;
  readonly name: string;
}

/**
 * Tells `error` to each hook that the session owes it, the last one that was started first. One that is ended by SIGTERM is told once more:
 * `systemctl stop` of the unit that we are in sends that to it and to us, once, and then leaves time. `scratch` is as `scratchEnv` has it.
 * Resolves to the report.
 */
export async function notify(
  ledger: Ledger,
  env: Environment,
  deps: SessionDeps,
  scratch: Environment,
): Promise<Report> {
  const record = ledger.record();
  const paths = new Set(pending(record).map(({ path }) => path));
  const { whole, loaded } = await planError(
    {
      ...record,
      error: record.error ?? '',
      keyrings: record.keyrings ?? undefined,
      timeoutMs: record.timeoutMs ?? undefined,
    },
    { ...env, ...record.carriedEnv, ...scratch },
    deps,
  );
  const planned = new Set(whole.steps.map(({ hook }) => hook.path));
  for (const path of paths) {
    if (planned.has(path)) continue;
    deps.tell(describeUntold(path, loaded.judged.find(({ hook }) => hook.path === path)?.verdict));
  }
  const wasStarted = (path: string): boolean => ledger.started(path) !== undefined;
  const isFirst = !record.isOver;
  const steps = whole.steps.filter(
    ({ hook }) => paths.has(hook.path) || (isFirst && hook.header.always && !wasStarted(hook.path)),
  );
  let isCutShort = false;
  const ended = (result: Result, mayRetry: boolean): void => {
    const { path } = result.step.hook;
    const { kind } = result.outcome;
    if (kind === 'interrupted') return;
    if (!wasStarted(path)) {
      tellFailure(result, deps);
      return;
    }
    const isGoingDown = kind !== 'succeeded' && deps.isGoingDown();
    if (mayRetry && !isGoingDown && kind === 'killed' && result.outcome.signal === 'SIGTERM') {
      isCutShort = true;
      deps.tell(describeRetry(result));
      return;
    }
    const counts = kind !== 'succeeded' && kind !== 'not-started' && !isGoingDown;
    const before = ledger.started(path)?.attempts ?? 0;
    const attempts = before + (counts ? 1 : 0);
    if (kind !== 'succeeded') deps.tell(describeNotification(result, attempts, isGoingDown));
    ledger.tryUpdate({ path, isSettled: kind === 'succeeded', attempts });
  };
  const tell = (to: readonly Step[], mayRetry: boolean): Promise<Report> =>
    deps.perform(
      { ...whole, steps: to },
      observe(record, deps, ledger.note, result => ended(result, mayRetry)),
    );
  const results: Result[] = [];
  // One by one, so that a hook which is told once more is so before those that were started earlier. Without any, signals are heard.
  for (const to of steps.length === 0 ? [[]] : steps.map(step => [step])) {
    isCutShort = false;
    let report = await tell(to, true);
    if (isCutShort && report.interruption === undefined) report = await tell(to, false);
    results.push(...report.results);
    const { interruption } = report;
    if (interruption !== undefined) return { plan: { ...whole, steps }, results, interruption };
  }
  return { plan: { ...whole, steps }, results, interruption: undefined };
}

/** Tells `error` to the hooks that want to hear of every failure (`# tklbam-hooks: always`), where there is no session. */
export async function notifyAlways(failed: Failed, env: Environment, deps: SessionDeps): Promise<void> {
  const { whole } = await planError(failed, env, deps);
  const steps = whole.steps.filter(({ hook }) => hook.header.always);
  if (steps.length === 0) return;
  await deps.perform(
    { ...whole, steps },
    observe(
      failed,
      deps,
      () => undefined,
      result => tellFailure(result, deps),
    ),
  );
}

function tellFailure(result: Result, { tell }: SessionDeps): void {
  if (result.outcome.kind !== 'succeeded') tell(describeDeafHook(result));
}

async function planError(
  { operation, session, name, error, failed, ...settings }: Failed,
  env: Environment,
  deps: SessionDeps,
): Promise<{ readonly whole: Plan; readonly loaded: LoadedHooks }> {
  const trouble = { TKLBAM_HOOK_ERROR: error, TKLBAM_HOOK_FAILED: failed };
  const theirs = { ...env, TKLBAM_HOOK_COMMAND: name, ...trouble };
  const loaded = await deps.loadHooks(settings);
  const event = { operation, state: 'error' } as const;
  // In the root directory: the backup's own may be gone with it, or be one that a hook is to unmount.
  const request = { ...settings, event, only: [], cwd: '/' };
  const whole = plan(request, loaded.listings, loaded.judged, theirs, session);
  const steps = whole.steps.map((step): Step => ({ ...step, failure: 'note' }));
  return { whole: { ...whole, steps, failures: [], warnings: [] }, loaded };
}

/** Notes which hook runs, and logs how each ends. */
export function observe(
  { session, operation }: Pick<SessionRecord, 'session' | 'operation'>,
  { log }: SessionDeps,
  note: Ledger['note'],
  ended: (result: Result) => void,
): Observer {
  let startedAt = new Date();
  return {
    starts: step => {
      startedAt = new Date();
      return step;
    },
    traced: note,
    ended: result => {
      note(undefined);
      const [, state] = result.step.args;
      const time = startedAt.toISOString();
      const hook = result.step.hook.name;
      const output =
        result.outcome.kind === 'succeeded' || result.output === '' ? {} : { output: result.output };
      log.write({ type: 'hook', time, session, operation, state, hook, ...resultEntry(result), ...output });
      ended(result);
    },
  };
}

/** Ends after which hooks may be owed `error`. */
const OWES: readonly SessionOutcome[] = ['failed', 'put-off', 'owing'];

/** The line of the log for a session's end. */
export function sessionEntry(
  record: Pick<
    SessionRecord,
    'session' | 'operation' | 'name' | 'since' | 'uptime' | 'guardian' | 'started' | 'isTrial'
  >,
  outcome: SessionEntry['outcome'],
  error: string | null,
  boot: string | null,
  command?: ResultEntry,
): SessionEntry {
  const { session, operation, name, since } = record;
  const owed = OWES.includes(outcome) ? owing(record).length : 0;
  const now = uptime();
  const isSameBoot = record.guardian.boot === boot && record.uptime !== null && now !== null;
  // The clock may have been set meanwhile, by a hook above all.
  const seconds = isSameBoot ? now - (record.uptime ?? now) : (Date.now() - Date.parse(since)) / 1000;
  return {
    type: 'session',
    time: since,
    session,
    operation,
    name,
    ...(record.isTrial && { trial: true }),
    outcome,
    error,
    ...(owed > 0 && { owed }),
    ...(command !== undefined && { command }),
    seconds: Math.max(0, Math.round(seconds)),
  };
}

/** Logs what became of a session that had failed, and was told again. */
export function settledEntry(record: SessionRecord, boot: string | null): SessionEntry | undefined {
  if (owing(record).length === 0) return sessionEntry(record, 'settled', null, boot);
  if (pending(record).length > 0) return undefined;
  const names = owing(record).map(({ path }) => path);
  return sessionEntry(record, 'owing', `${names.join(', ')} failed when told`, boot);
}
