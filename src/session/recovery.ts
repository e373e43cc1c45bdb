// Sessions whose guardian is gone, and those that still owe a hook `error`: their hooks are told, under the lock of the operation.
import { OPERATIONS } from '../cli/grammar.ts';
import { escapeControls } from '../cli/text.ts';
import { describeCutOff, describeExhausted, localTime } from '../report/session-messages.ts';
import { bootId } from '../system/machine.ts';
import { isAlive } from '../system/proc.ts';
import type { Environment, Operation, SessionFile, SessionRecord, StatePaths, Unfinished } from '../types.ts';
import type { SessionDeps } from './deps.ts';
import { type Lock, lock } from './flock.ts';
import { openLedger } from './ledger.ts';
import { notify, sessionEntry, settledEntry } from './notify.ts';
import { removeScratch, scratchEnv } from './scratch.ts';
import {
  hasTraces,
  load,
  loadOld,
  oldRecordPath,
  owing,
  pending,
  recordPath,
  removeOld,
  removeUnsaved,
  save,
  setAside,
} from './session-file.ts';

/** What a recovery came to. */
export interface Recovered {
  /** Whether a hook is still owed `error`. */
  readonly owes: boolean;
  /** The signal that cut it short: the rest is told another time. */
  readonly interruption: NodeJS.Signals | undefined;
}

const NOTHING: Recovered = { owes: false, interruption: undefined };

/** Every record that is there. Throws the error of a system call. */
export const unfinished = ({ stateDirectory }: StatePaths, uid: number): Unfinished[] =>
  OPERATIONS.flatMap(operation =>
    [load, loadOld].flatMap(each => inspect(each(stateDirectory, operation, uid), operation)),
  );

function inspect(found: SessionFile, operation: Operation): Unfinished[] {
  switch (found.kind) {
    case 'absent':
      return [];
    case 'unreadable':
    case 'copy':
      return [{ kind: found.kind, operation }];
    case 'sessions':
      return found.sessions.map(record => {
        const kind = record.isOver ? 'owing' : isAlive(record.guardian) ? 'running' : 'cut-off';
        return { kind, record };
      });
  }
}

/** Tells `error` for each session whose guardian is gone or that still owes it. Throws the error of a system call. */
export async function recover(
  { stateDirectory }: StatePaths,
  operations: readonly Operation[],
  env: Environment,
  deps: SessionDeps,
): Promise<Recovered> {
  let result = NOTHING;
  for (const operation of operations) {
    if (!hasTraces(stateDirectory, operation)) continue;
    // What a hook starts again would be started in the middle of a session, of whatever operation.
    const isHeld = findRunning(stateDirectory, deps.uid) !== undefined;
    const theirs = isHeld ? undefined : lock(stateDirectory, operation, 'recovery', deps.waitSeconds);
    if (theirs === undefined) {
      result = { ...result, owes: result.owes || isOwing(load(stateDirectory, operation, deps.uid)) };
      continue;
    }
    try {
      const { owes, interruption } = await recoverLocked(theirs, stateDirectory, operation, env, deps);
      removeScratch(stateDirectory, deps.uid, deps.tell);
      // Once more: mkfifo(1) may have outlived the one who was killed while it ran.
      removeUnsaved(stateDirectory, operation);
      result = { owes: result.owes || owes, interruption: result.interruption ?? interruption };
    } finally {
      theirs.close();
    }
    if (result.interruption !== undefined) break;
  }
  return result;
}

const isOwing = (found: SessionFile): boolean =>
  found.kind === 'sessions' && found.sessions.some(each => each.isOver && owing(each).length > 0);

/** The session that runs, of whatever operation and version. */
export function findRunning(stateDirectory: string, uid: number): SessionRecord | undefined {
  for (const each of OPERATIONS) {
    const found = running(load(stateDirectory, each, uid)) ?? findRunningOld(stateDirectory, each, uid);
    if (found !== undefined) return found;
  }
  return undefined;
}

const running = (found: SessionFile): SessionRecord | undefined =>
  found.kind === 'sessions' ? found.sessions.find(each => !each.isOver && isAlive(each.guardian)) : undefined;

/** The session of a version before 1.2.0 that was running when the package was upgraded: our lock says nothing of it. */
export const findRunningOld = (
  stateDirectory: string,
  operation: Operation,
  uid: number,
): SessionRecord | undefined => running(loadOld(stateDirectory, operation, uid));

/** Gives up what is owed. Returns the sessions that owed it, or undefined if one of them runs. */
export function forget(
  { stateDirectory }: StatePaths,
  operation: Operation,
  deps: Pick<SessionDeps, 'log' | 'uid' | 'tell' | 'waitSeconds'>,
): readonly SessionRecord[] | undefined {
  if (!hasTraces(stateDirectory, operation)) return [];
  const theirs = lock(stateDirectory, operation, 'recovery', deps.waitSeconds);
  if (theirs === undefined) return undefined;
  try {
    if (findRunningOld(stateDirectory, operation, deps.uid) !== undefined) return undefined;
    const sessions = takeOver(stateDirectory, operation, deps);
    for (const each of sessions) deps.log.write(sessionEntry(each, 'forgotten', each.error, bootId()));
    save(stateDirectory, operation, []);
    removeScratch(stateDirectory, deps.uid, deps.tell);
    return sessions;
  } finally {
    removeUnsaved(stateDirectory, operation);
    theirs.close();
  }
}

/** As `recover`, for one who has the lock. */
export async function recoverLocked(
  theirs: Lock,
  stateDirectory: string,
  operation: Operation,
  env: Environment,
  deps: SessionDeps,
): Promise<Recovered> {
  removeUnsaved(stateDirectory, operation);
  // Whoever held the lock before is gone.
  if (theirs.left !== undefined) await deps.endTraced(theirs.left);
  theirs.note(undefined);
  const sessions = takeOver(stateDirectory, operation, deps);
  let [owed, interruption]: [readonly SessionRecord[], Recovered['interruption']] = [[], undefined];
  for (const [index, found] of sessions.entries()) {
    const others = [...owed, ...sessions.slice(index + 1)];
    if (interruption !== undefined) {
      owed = [...owed, found];
      continue;
    }
    const record = found.isOver ? found : cutOff(found, deps);
    const ledger = openLedger(theirs, { stateDirectory, operation }, others, record, deps.tell);
    if (!found.isOver) ledger.trySave(record);
    const isSameBoot = found.guardian.boot === bootId();
    if (found.view !== undefined && !found.isOver && isSameBoot) await deps.endInhabitants(found.view);
    if (pending(record).length > 0 || !found.isOver) {
      if (found.isOver) {
        deps.tell(
          `tklbam-hooks: the ${operation} of ${localTime(found.since)} failed, and is still owed: telling its hooks`,
        );
      }
      const report = await notify(ledger, env, deps, scratchEnv(stateDirectory, record.session));
      interruption = report.interruption;
      const entry = found.isOver
        ? settledEntry(ledger.record(), bootId())
        : sessionEntry(ledger.record(), 'failed', record.error, bootId());
      if (entry !== undefined && interruption === undefined) deps.log.write(entry);
    }
    if (interruption === undefined) ledger.end(false);
    describeExhausted(ledger.record()).forEach(deps.tell);
    if (owing(ledger.record()).length > 0)
      owed = [...owed, { ...ledger.record(), isOver: interruption === undefined }];
  }
  return { owes: owed.length > 0, interruption };
}

/** The sessions that are recorded, with the one of a version before 1.2.0, which is then recorded as the others are. */
function takeOver(
  stateDirectory: string,
  operation: Operation,
  deps: Pick<SessionDeps, 'uid' | 'tell'>,
): readonly SessionRecord[] {
  const path = recordPath(stateDirectory, operation);
  const sessions = believe(load(stateDirectory, operation, deps.uid), path, operation, deps);
  const oldPath = oldRecordPath(stateDirectory, operation);
  const old = believe(loadOld(stateDirectory, operation, deps.uid), oldPath, operation, deps);
  if (old.length === 0) return sessions;
  // Whoever was killed between the two has saved it already.
  const isNew = ({ session }: SessionRecord): boolean => !sessions.some(each => each.session === session);
  const all = [...sessions, ...old.filter(isNew)];
  save(stateDirectory, operation, all);
  removeOld(stateDirectory, operation);
  return all;
}

/** The sessions of a record, if it is to be believed; else it is put out of the way, and that is told. */
function believe(
  found: SessionFile,
  path: string,
  operation: Operation,
  { tell }: Pick<SessionDeps, 'tell'>,
): readonly SessionRecord[] {
  switch (found.kind) {
    case 'absent':
      return [];
    case 'sessions':
      return found.sessions;
    case 'unreadable': {
      const kept = escapeControls(setAside(path, 'bad'));
      const text = `the record of a ${operation} session cannot be understood, keeping it as '${kept}'`;
      tell(`tklbam-hooks: ${text}; what its hooks stopped may still be stopped`);
      return [];
    }
    case 'copy': {
      const kept = escapeControls(setAside(path, 'copy'));
      const text = `the record of a ${operation} session is not of one that was cut off here: ${found.reason}`;
      tell(`tklbam-hooks: ${text}; keeping it as '${kept}', no hook is told`);
      return [];
    }
  }
}

/** The record of a session that nobody looks after any more, as ours. */
function cutOff(found: SessionRecord, deps: SessionDeps): SessionRecord {
  const { operation, since, guardian } = found;
  const cause = describeCutOff(found, bootId());
  deps.tell(`tklbam-hooks: the ${operation} of ${localTime(since)} ${cause}: telling its hooks`);
  const error = found.error ?? `the ${operation} ${cause}`;
  // Seconds since an earlier boot say nothing.
  const uptime = guardian.boot === bootId() ? found.uptime : null;
  return { ...found, uptime, guardian: deps.self, state: 'error', error };
}
