// One operation from `pre` to its end, as a state machine: idle, open (lock and record), closing (hooks are told `error`), over.
import { setTimeout as sleep } from 'node:timers/promises';
import { OPERATIONS } from '../cli/grammar.ts';
import { asName, escapeControls } from '../cli/text.ts';
import { plan } from '../hooks/plan.ts';
import { EX_TEMPFAIL, exitStatus, isDeferred, isFailure } from '../report/exit-status.ts';
import { describeResult, describeWarning, findTrouble } from '../report/messages.ts';
import {
  describeBug,
  describeChanges,
  describeHolder,
  describeRunning,
  describeStateFault,
} from '../report/session-messages.ts';
import { describeRefusal } from '../report/verdicts.ts';
import type { View } from '../run/view.ts';
import { findViewFault, type ViewFault } from '../run/view-plan.ts';
import { errnoOf } from '../system/errno.ts';
import { bootId, elapsedMs, uptime } from '../system/machine.ts';
import type {
  Defect,
  Environment,
  Failure,
  HookEvent,
  LoadedHooks,
  Operation,
  Plan,
  Report,
  Result,
  ResultEntry,
  SessionOutcome,
  SessionRecord,
  SessionSettings,
  Sight,
  StartedHook,
  State,
  Step,
  Trace,
  Trouble,
  ViewEntry,
} from '../types.ts';
import type { SessionDeps } from './deps.ts';
import { type Lock, lock, lockInTurn, purposeOf, sessionsDirectory } from './flock.ts';
import { type Ledger, openLedger } from './ledger.ts';
import { notify, notifyAlways, observe, sessionEntry } from './notify.ts';
import { findRunning, findRunningOld, recoverLocked } from './recovery.ts';
import { makeScratch, removeScratch, scratchEnv } from './scratch.ts';
import { CARRIED, load, owing, refuseStateDirectory, removeUnsaved, viewPath } from './session-file.ts';
import { type ViewRequests, viewRequests } from './view-requests.ts';

/** What the caller gets for each state that it has come to. */
export interface Answer {
  /** As `exitStatus` has it; 75 if a hook of `pre` puts the operation off. */
  readonly status: number;
  /** What went wrong, a line without `HookError: `; undefined if all is well. */
  readonly error: string | undefined;
  readonly results: readonly Result[];
  /** What setns(2) takes for the operation to see what hooks of `pre` want it to, until `post`; undefined if that is what is there. */
  readonly view?: string | undefined;
}

export type Stage = Exclude<State, 'error'>;

export interface Session {
  /** Whether the operation can come to that state now: `pre` first, `inspect` if at all before `post`, each once. */
  readonly canFollow: (stage: Stage) => boolean;
  /** Runs the hooks of a state, and those of `error` if that fails. Whatever it throws, the session is over then. */
  readonly advance: (stage: Stage, cwd: string, env: Environment, sight?: Sight) => Promise<Answer>;
  /** There is no session, though one was asked for: nothing but hooks that want to hear of every failure is run. */
  readonly turnAway: (error: string, env: Environment) => Promise<void>;
  /** The operation itself begins, by running this command. */
  readonly runs: (command: string) => void;
  /** How that ended, and what of that is a warning. */
  readonly ran: (command: ResultEntry, warning?: string) => void;
  /** The operation has failed: runs the hooks of `error`, unless no session has begun or it is over. */
  readonly fail: (error: string, more?: Environment) => Promise<void>;
  /** How what runs between the states is found; undefined when it has ended. */
  readonly traced: (trace: Trace | undefined) => void;
  readonly isOver: () => boolean;
}

type Phase =
  | { readonly kind: 'idle' | 'closing' | 'over' }
  | {
      readonly kind: 'open';
      readonly stage: Stage;
      readonly env: Environment;
      readonly locks: Locks;
      readonly ledger: Ledger;
    };

/** Those of both operations: what hooks of one start again, in the middle of the other, would spoil that. */
type Locks = Readonly<Record<Operation, Lock>>;

const STAGES: readonly Stage[] = ['pre', 'inspect', 'post'];

/** Nothing is done before `pre`. */
export function openSession(settings: SessionSettings, deps: SessionDeps): Session {
  const { operation } = settings;
  const { stateDirectory } = settings.statePaths;
  let phase: Phase = { kind: 'idle' };
  let planOfPre: Plan | undefined;
  let view: View | undefined;
  let commanded: ResultEntry | undefined;
  /** What was no reason to fail, a line each. */
  const warnings = new Set<string>();

  const advance = async (
    stage: Stage,
    cwd: string,
    env: Environment,
    sight: Sight = 'none',
  ): Promise<Answer> => {
    if (phase.kind === 'idle') {
      const first = newRecord(settings, env, deps);
      const begun = await begin(settings, first, env, deps).catch((bug: unknown) => {
        phase = { kind: 'over' };
        deps.log.write(sessionEntry(first, 'turned-away', describeBug(bug), bootId()));
        throw bug;
      });
      if ('error' in begun) {
        deps.tellTurnedAway(begun.error);
        await turnAway(first, begun, env);
        return { status: begun.isBusy ? EX_TEMPFAIL : 1, error: begun.error, results: [] };
      }
      phase = { kind: 'open', stage, env, ...begun };
    }
    if (phase.kind !== 'open') throw new Error(`${stage} of a session that is ${phase.kind}`);
    const { ledger } = phase;
    phase = { ...phase, stage, env };
    if (stage !== 'pre') ledger.trySave({ ...ledger.record(), state: stage, command: null });
    try {
      if (stage === 'post') await closeView();
      const asked =
        stage === 'pre' ? viewRequests(viewPath(stateDirectory, operation), operation, sight) : undefined;
      const { name, session } = ledger.record();
      const own = { TKLBAM_HOOK_COMMAND: name, ...scratchEnv(stateDirectory, session) };
      const named = { ...env, ...asked?.env, ...own };
      const report = await runStage(stage, cwd, named, ledger, asked?.note);
      const cause = findCause(report) ?? (await showView(asked?.entries() ?? [], sight, ledger));
      if (cause === undefined) {
        if (stage === 'post') await close(undefined, 'succeeded');
        const path = stage === 'pre' ? view?.path : undefined;
        return { status: 0, error: undefined, results: report.results, view: path };
      }
      const isPutOff = isDeferred(report);
      await close(cause, isPutOff ? 'put-off' : 'failed');
      const status = isPutOff ? EX_TEMPFAIL : exitStatus(report) || 1;
      return { status, error: cause.error, results: report.results };
    } catch (bug) {
      // The first exception is the one to tell: to close the session may meet it again.
      await close({ error: describeBug(bug), failed: '' }, 'failed').catch(() => undefined);
      throw bug;
    }
  };

  /** Why the operation cannot go on. The hooks' own failures have been told. */
  const findCause = (report: Report): Trouble | undefined => {
    const own = findTrouble(report);
    const other = deps.callerEnd() ?? (own === undefined ? deps.interruption() : undefined);
    if (other === undefined) return own;
    deps.tell(`tklbam-hooks: ${other}`);
    return { error: other, failed: '' };
  };

  /** Makes the view, if a hook has asked for one. Why that cannot be; it has been told then. */
  const showView = async (
    asked: readonly ViewEntry[] | ViewFault,
    sight: Sight,
    ledger: Ledger,
  ): Promise<Trouble | undefined> => {
    if ('length' in asked && asked.length === 0) return undefined;
    const made =
      'error' in asked
        ? asked
        : (findViewFault(asked, sight) ?? (await deps.openView(asked, sessionsDirectory(stateDirectory))));
    if ('error' in made) {
      deps.tellTurnedAway(made.error);
      return { error: made.error, failed: made.hook };
    }
    view = made;
    ledger.trySave({ ...ledger.record(), view: made.mounts });
    return undefined;
  };

  /** Whoever is still in there would read a snapshot that goes, or beside services that start again. */
  const closeView = async (): Promise<void> => {
    if (view === undefined) return;
    const { mounts, close } = view;
    view = undefined;
    const ended = await deps.endInhabitants(mounts);
    close();
    if (ended.length > 0) {
      const programs = ended.map(name => `'${escapeControls(name)}'`).join(', ');
      deps.tell(`tklbam-hooks: ended what the ${operation} had left in its view: ${programs}`);
    }
  };

  const runStage = async (
    stage: Stage,
    cwd: string,
    env: Environment,
    ledger: Ledger,
    note: ViewRequests['note'] | undefined,
  ): Promise<Report> => {
    const event: HookEvent = { operation, state: stage };
    const loaded = await deps.loadHooks(settings);
    const { session } = ledger.record();
    const request = { ...settings, event, cwd };
    let whole = plan(request, loaded.listings, loaded.judged, env, session);
    if (stage === 'pre') planOfPre = whole;
    if (stage === 'post') {
      if (planOfPre !== undefined) describeChanges(planOfPre, whole).forEach(deps.tell);
      whole = { ...whole, failures: [...whole.failures, ...findGone(ledger.record(), whole, loaded)] };
    }
    if (deps.interruption() !== undefined || deps.callerEnd() !== undefined) whole = { ...whole, steps: [] };
    return perform(whole, ledger, note);
  };

  /** Each hook is in the record before it starts. */
  const perform = (whole: Plan, ledger: Ledger, note: ViewRequests['note'] | undefined): Promise<Report> => {
    const failed: Result[] = [];
    for (const warning of whole.warnings) warnings.add(describeWarning(warning));
    const seen = observe(ledger.record(), deps, ledger.note, result => {
      note?.(result);
      if (isFailure(result)) failed.push(result);
      else {
        const message = describeResult(whole, result);
        if (message !== undefined) warnings.add(message.text);
      }
      const { path } = result.step.hook;
      if (result.outcome.kind !== 'not-started' || !isNew) return;
      const started = ledger.record().started.filter(each => each.path !== path);
      ledger.trySave({ ...ledger.record(), started });
    });
    // Whether the hook that runs is in the record for the first time.
    let isNew = false;
    return deps.perform(whole, {
      traced: seen.traced,
      starts: step => {
        const { path } = step.hook;
        const ready = seen.starts(
          withNews(step, { plan: whole, results: failed, interruption: undefined }, warnings),
        );
        isNew = false;
        if (ledger.started(path) !== undefined) return ready;
        const hook = { path, attempts: 0, isSettled: false };
        if (whole.stopAtFailure) {
          const defect = updateOr(ledger, hook);
          if (defect !== undefined) return defect;
        } else ledger.tryUpdate(hook);
        isNew = true;
        return ready;
      },
      ended: seen.ended,
    });
  };

  const close = async (trouble: Trouble | undefined, outcome: SessionOutcome): Promise<void> => {
    if (phase.kind !== 'open') return;
    const { ledger, locks, env } = phase;
    phase = { kind: 'closing' };
    const nothingRan = ledger.record().started.length === 0 && outcome === 'failed';
    try {
      if (trouble !== undefined) {
        ledger.trySave({ ...ledger.record(), ...trouble, state: 'error' });
        if (deps.callerEnd() !== undefined) await deps.endCallers();
        await closeView();
        await notify(ledger, env, deps, scratchEnv(stateDirectory, ledger.record().session));
      }
    } finally {
      phase = { kind: 'over' };
      const error = trouble?.error ?? null;
      // On disk before the record goes.
      deps.log.write(
        sessionEntry(ledger.record(), nothingRan ? 'turned-away' : outcome, error, bootId(), commanded),
      );
      ledger.end(trouble === undefined);
      removeUnsaved(stateDirectory, operation);
      removeScratch(stateDirectory, deps.uid, deps.tell);
      closeAll(locks);
    }
  };

  const turnAway = async (record: SessionRecord, trouble: Trouble, env: Environment): Promise<void> => {
    phase = { kind: 'over' };
    deps.log.write(sessionEntry(record, 'turned-away', trouble.error, bootId()));
    const { session, name } = record;
    await notifyAlways({ ...settings, ...trouble, session, name }, env, deps);
  };

  return {
    canFollow: stage => {
      if (phase.kind === 'idle') return stage === 'pre';
      return phase.kind === 'open' && STAGES.indexOf(stage) > STAGES.indexOf(phase.stage);
    },
    advance,
    turnAway: (error, env) => turnAway(newRecord(settings, env, deps), { error, failed: '' }, env),
    traced: trace => {
      if (phase.kind === 'open') phase.ledger.note(trace);
    },
    runs: command => {
      if (phase.kind === 'open') phase.ledger.trySave({ ...phase.ledger.record(), command });
    },
    ran: (command, warning) => {
      commanded = command;
      if (warning !== undefined) warnings.add(warning);
    },
    fail: async (error, more = {}) => {
      if (phase.kind !== 'open') return;
      deps.tell(`tklbam-hooks: ${error}`);
      phase = { ...phase, env: { ...phase.env, ...more } };
      await close({ error, failed: '' }, 'failed');
    },
    isOver: () => phase.kind === 'over',
  };
}

/** Hooks of `post` are told of a failure before them, and of warnings. */
function withNews(step: Step, report: Report, warnings: ReadonlySet<string>): Step {
  if (report.plan.event.state !== 'post') return step;
  const trouble = findTrouble(report);
  const [warning] = warnings;
  const rest = warnings.size <= 1 ? '' : ` (and ${warnings.size - 1} more)`;
  const env = {
    ...step.env,
    ...(trouble && { TKLBAM_HOOK_ERROR: trouble.error, TKLBAM_HOOK_FAILED: trouble.failed }),
    ...(warning !== undefined && { TKLBAM_HOOK_WARNING: `${warning}${rest}` }),
  };
  return { ...step, env };
}

function updateOr(ledger: Ledger, hook: StartedHook): Defect | undefined {
  try {
    ledger.update(hook);
    return undefined;
  } catch (error) {
    return { kind: 'unrecorded', code: errnoOf(error) };
  }
}

/** What was started, and is not there any more to bring back what it stopped: removed or switched off, as by a restore of /etc. */
function findGone({ started }: SessionRecord, { steps }: Plan, { judged }: LoadedHooks): Failure[] {
  const planned = new Set(steps.map(({ hook }) => hook.path));
  return started.flatMap(({ path }): Failure[] => {
    if (planned.has(path)) return [];
    const verdict = judged.find(({ hook }) => hook.path === path)?.verdict;
    // Those that are refused or broken are failures of the plan already.
    if (verdict?.kind === 'refuse' || verdict?.kind === 'broken') return [];
    return [{ kind: 'gone', path, verdict }];
  });
}

function newRecord(
  { operation, name, sources, keyrings, timeoutMs, only }: SessionSettings,
  env: Environment,
  { self, caller }: SessionDeps,
): SessionRecord {
  const now = new Date();
  return {
    session: `${now.getTime().toString(36)}-${self.pid}`,
    operation,
    name: name ?? asName(caller.name),
    since: now.toISOString(),
    uptime: uptime(),
    guardian: self,
    caller,
    state: 'pre',
    command: null,
    sources,
    keyrings: keyrings ?? null,
    timeoutMs: timeoutMs ?? null,
    carriedEnv: Object.fromEntries(CARRIED.flatMap(name => (env[name] ? [[name, env[name]]] : []))),
    ...(only.length > 0 && { isTrial: true }),
    started: [],
    error: null,
    failed: '',
    isOver: false,
  };
}

/** Why there is no session. `isBusy`: another one has the machine, and it could begin later. */
interface TurnedAway extends Trouble {
  readonly isBusy: boolean;
}

/** The locks and the record of a new session, when all that were cut off have been recovered; or why there is none. */
async function begin(
  settings: SessionSettings,
  first: SessionRecord,
  env: Environment,
  deps: SessionDeps,
): Promise<{ readonly locks: Locks; readonly ledger: Ledger } | TurnedAway> {
  const { operation, statePaths } = settings;
  const { stateDirectory } = statePaths;
  const trouble = (error: string, isBusy = false): TurnedAway => ({ error, failed: '', isBusy });
  let mine: Locks | undefined;
  try {
    const refusal = refuseStateDirectory(stateDirectory, deps.uid);
    if (refusal !== undefined) {
      const { reason } = describeRefusal(refusal, undefined);
      return trouble(`cannot record the session in '${stateDirectory}': ${reason}, no hook was run`);
    }
    const taken = await waitForLocks(settings, deps);
    if ('isRecovery' in taken) {
      const interruption = deps.interruption() ?? deps.callerEnd();
      if (interruption !== undefined) return trouble(`${interruption}, no hook was run`);
      return trouble(describeHolder(taken.holder), true);
    }
    mine = taken;
    // Ours first: the hooks of what was cut off last are those that are about to run again.
    for (const each of [operation, ...OPERATIONS.filter(other => other !== operation)])
      await recoverLocked(mine[each], stateDirectory, each, env, deps);
    const interruption = deps.interruption() ?? deps.callerEnd();
    if (interruption !== undefined) return trouble(`${interruption}, no hook was run`);
    deps.prepare();
    const found = load(stateDirectory, operation, deps.uid);
    const owed = found.kind === 'sessions' ? found.sessions.filter(each => owing(each).length > 0) : [];
    const ledger = openLedger(mine[operation], { stateDirectory, operation }, owed, first, deps.tell);
    makeScratch(stateDirectory, first.session);
    ledger.save(first);
    for (const each of OPERATIONS) mine[each].become('session');
    const locks = mine;
    mine = undefined;
    return { locks, ledger };
  } catch (error) {
    if (!isSystemError(error)) throw error;
    return trouble(describeStateFault(stateDirectory, errnoOf(error)));
  } finally {
    if (mine !== undefined) {
      removeScratch(stateDirectory, deps.uid, deps.tell);
      closeAll(mine);
    }
  }
}

/** Errors of system calls are the state directory's; anything else is a bug. */
const isSystemError = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && 'syscall' in error;

function closeAll(locks: Locks): void {
  for (const each of OPERATIONS) locks[each].close();
}

/** Who has a lock that a session needs. */
interface Holder {
  /** The record of its session, if there is one already. */
  readonly holder: SessionRecord | undefined;
  readonly isRecovery: boolean;
}

/**
 * The locks of both operations. A recovery is waited for: it ends, and what it starts again is wanted. A session is waited for as long as
 * was asked for.
 */
async function waitForLocks(
  { statePaths, waitMs }: SessionSettings,
  deps: SessionDeps,
): Promise<Locks | Holder> {
  const deadline = elapsedMs() + waitMs;
  let told = '';
  for (;;) {
    const taken = takeLocks(statePaths.stateDirectory, deps);
    if (!('isRecovery' in taken)) return taken;
    if (!taken.isRecovery && elapsedMs() >= deadline) return taken;
    const what = taken.isRecovery
      ? 'the recovery of what was cut off'
      : `another session${taken.holder === undefined ? '' : `: ${describeRunning(taken.holder)}`}`;
    if (what !== told) deps.tell(`tklbam-hooks: waiting for ${what}`);
    told = what;
    // So that signals, and the end of the caller, are heard.
    await sleep(1);
    if (deps.interruption() !== undefined || deps.callerEnd() !== undefined) return taken;
  }
}

/** All or none, and in one order: of two sessions that begin at once, one gets them. */
function takeLocks(stateDirectory: string, { uid, waitSeconds }: SessionDeps): Locks | Holder {
  const taken = lockInTurn(stateDirectory, OPERATIONS, 'recovery', waitSeconds);
  // Our locks say nothing of a session of a version before 1.2.0.
  const [old] = OPERATIONS.flatMap(operation => findRunningOld(stateDirectory, operation, uid) ?? []);
  const [backup, restore] = taken;
  if (old === undefined && backup !== undefined && restore !== undefined) return { backup, restore };
  const missing = OPERATIONS[taken.length];
  const isRecovery =
    old === undefined && missing !== undefined && purposeOf(stateDirectory, missing) === 'recovery';
  for (const each of taken) each.close();
  // Those after it were made for nothing, maybe: they go with a lock of ours.
  for (const each of OPERATIONS.slice(taken.length + 1)) lock(stateDirectory, each, 'recovery', 0)?.close();
  return { holder: old ?? findRunning(stateDirectory, uid), isRecovery };
}
