// The records of an operation's sessions on disk: written whole and durably, and believed only if they are ours.
import {
  type BigIntStats,
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  unlinkSync,
} from 'node:fs';
import { appendDurably, removeDurably, replaceDurably } from '../system/durable-file.ts';
import { attempt, errnoOf } from '../system/errno.ts';
import { isObject, isStrings } from '../system/json.ts';
import { machineId } from '../system/machine.ts';
import { isAlive, processId } from '../system/proc.ts';
import { findRefusal, pathRefusal } from '../system/trust.ts';
import type { Operation, Refusal, SessionFile, SessionRecord, StartedHook } from '../types.ts';
import { sessionsDirectory } from './flock.ts';

/** Version of the record's form. A newer record is kept, and not read. */
const VERSION = 2;

/** How often a hook is told `error`, if it fails each time. */
export const MOST_ATTEMPTS = 3;

/** Who is still to be told `error`, in the order to tell them: what was stopped last is started first. */
export const pending = ({ started }: SessionRecord): StartedHook[] =>
  started.toReversed().filter(({ isSettled, attempts }) => !isSettled && attempts < MOST_ATTEMPTS);

/** Who never heard `error` to a good end: those to be told, and those who failed it too often to be told again. */
export const owing = ({ started }: Pick<SessionRecord, 'started'>): StartedHook[] =>
  started.toReversed().filter(({ isSettled }) => !isSettled);

export const recordPath = (stateDirectory: string, operation: Operation): string =>
  `${sessionsDirectory(stateDirectory)}/${operation}.json`;

/** Where versions before 1.2.0 had it: one session, which ran or was cut off. */
export const oldRecordPath = (stateDirectory: string, operation: Operation): string =>
  `${stateDirectory}/${operation}.json`;

/** What others than root and `uid` could have written there; undefined if it is safe. */
export const refuseStateDirectory = (stateDirectory: string, uid: number): Refusal | undefined =>
  pathRefusal(sessionsDirectory(stateDirectory), uid);

/**
 * Throws the error of the system call that fails; what was saved before is then still there. None removes the file. Returns which file it
 * is now.
 */
export function save(
  stateDirectory: string,
  operation: Operation,
  sessions: readonly SessionRecord[],
): FileIdentity | undefined {
  const path = recordPath(stateDirectory, operation);
  if (sessions.length > 0) return write(path, sessions);
  removeDurably(path);
  return undefined;
}

/**
 * Adds to a record what is now known of a hook of that session: a line behind it, since to write all of it anew would take ever longer, the
 * more hooks there are. False if it is not that file: a restore may have removed it, or have put another one in its place. Throws the
 * error of the system call that fails; the record is then as it was.
 */
export function update(
  stateDirectory: string,
  operation: Operation,
  file: FileIdentity,
  session: string,
  started: StartedHook,
): boolean {
  const path = recordPath(stateDirectory, operation);
  const found = attempt(() => lstatSync(path, { bigint: true }));
  if (found === undefined || identify(found) !== file) return false;
  appendDurably(path, `${JSON.stringify({ session, started })}\n`);
  return true;
}

/** The file in which hooks of `pre` say what the operation is to see: TKLBAM_HOOK_VIEW. */
export const viewPath = (stateDirectory: string, operation: Operation): string =>
  `${sessionsDirectory(stateDirectory)}/${operation}.view`;

/** The FIFO of the standard error of hooks that a process runs, for the moment in which it has a name (output-tail.ts). */
export const tailPath = (stateDirectory: string, pid: number): string =>
  `${sessionsDirectory(stateDirectory)}/stderr-${pid}`;

/** Removes what one who was killed left: the unfinished file of a `save`, which may also have failed, requests for a view, and that FIFO. */
export function removeUnsaved(stateDirectory: string, operation: Operation): void {
  attempt(() => unlinkSync(`${recordPath(stateDirectory, operation)}.new`));
  attempt(() => unlinkSync(viewPath(stateDirectory, operation)));
  for (const name of attempt(() => readdirSync(sessionsDirectory(stateDirectory))) ?? []) {
    const pid = Number(/^stderr-(\d+)$/.exec(name)?.[1] ?? Number.NaN);
    if (!Number.isNaN(pid) && !isAlive(processId(pid)))
      attempt(() => unlinkSync(tailPath(stateDirectory, pid)));
  }
}

/** Takes a record that is not to be used out of the way. Returns where it is now. */
export function setAside(path: string, suffix: 'bad' | 'copy'): string {
  renameSync(path, `${path}.${suffix}`);
  return `${path}.${suffix}`;
}

/** Whether a session has left anything: a lock without a record is of one that was killed at its very beginning or end. */
export const hasTraces = (stateDirectory: string, operation: Operation): boolean => {
  const record = recordPath(stateDirectory, operation);
  const lock = `${sessionsDirectory(stateDirectory)}/${operation}.lock`;
  const old = oldRecordPath(stateDirectory, operation);
  return [record, `${record}.new`, lock, old].some(isThere);
};

/** Throws if that cannot be known, as for one who may not look into the directory, or where there is a file in its place. */
function isThere(path: string): boolean {
  try {
    lstatSync(path);
    return true;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false;
    throw error;
  }
}

/** Without a lock, what it says may be out of date at once. Throws the error of a system call. */
export const load = (stateDirectory: string, operation: Operation, uid: number): SessionFile =>
  read(recordPath(stateDirectory, operation), uid, (found, fd) =>
    understand(found, operation, {
      machine: machineId(),
      file: identify(fstatSync(fd, { bigint: true })),
    }),
  );

/** As `load`, of what a version before 1.2.0 left. */
export const loadOld = (stateDirectory: string, operation: Operation, uid: number): SessionFile =>
  read(oldRecordPath(stateDirectory, operation), uid, (found, fd) =>
    understandOld(found, operation, fstatSync(fd)),
  );

/** Removes an old record, once what it said is saved in the new form. */
export function removeOld(stateDirectory: string, operation: Operation): void {
  const path = oldRecordPath(stateDirectory, operation);
  const lock = `${stateDirectory}/${operation}.lock`;
  for (const each of [lock, `${path}.new`]) attempt(() => unlinkSync(each));
  removeDurably(path);
}

function read(
  path: string,
  uid: number,
  understood: (found: unknown, fd: number) => SessionFile,
): SessionFile {
  let fd: number;
  try {
    // Only a regular file: a FIFO would be waited for, and a link leads elsewhere.
    const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;
    fd = openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return { kind: 'absent' };
    throw error;
  }
  try {
    const stat = fstatSync(fd);
    const facts = { uid: stat.uid, mode: stat.mode & 0o7777 };
    if (!stat.isFile() || findRefusal(facts, [], uid) !== undefined) return { kind: 'unreadable' };
    return understood(
      attempt(() => parseRecord(readFileSync(fd, 'utf8'))),
      fd,
    );
  } finally {
    closeSync(fd);
  }
}

/**
 * The record, with what was added to it later. What is behind the last line break was not written whole, and so nobody has acted upon it. Throws
 * for what is no JSON. Pure.
 */
export function parseRecord(text: string): unknown {
  const [first = '', ...rest] = text.split('\n');
  const record: unknown = JSON.parse(first);
  if (!isObject(record) || !Array.isArray(record.sessions)) return record;
  const updates = rest.slice(0, -1).map((line): unknown => JSON.parse(line));
  const sessions = record.sessions.map((each: unknown) =>
    isObject(each) && Array.isArray(each.started)
      ? { ...each, started: merge(each.started, updates, each.session) }
      : each,
  );
  return { ...record, sessions };
}

function merge(started: readonly unknown[], updates: readonly unknown[], session: unknown): unknown[] {
  const own = updates.flatMap(each => (isObject(each) && each.session === session ? [each.started] : []));
  const keyed = [...started, ...own].map(each => [isObject(each) ? each.path : each, each] as const);
  return [...new Map(keyed).values()];
}

interface Origin {
  readonly machine: string | null;
  readonly file: FileIdentity;
}

/** Inode and time of birth (statx(2)), in ns since 1970; `0` where the file system has none. */
export type FileIdentity = string;

const identify = ({ ino, birthtimeNs }: BigIntStats): FileIdentity => `${ino} ${birthtimeNs}`;

/** What a record says, if it is one of that operation that was written here. Pure. */
export function understand(found: unknown, operation: Operation, here: Origin): SessionFile {
  if (!isObject(found) || found.version !== VERSION) return { kind: 'unreadable' };
  const { machine, file, sessions } = found;
  const isWhole =
    (machine === null || typeof machine === 'string') &&
    (file === null || typeof file === 'string') &&
    Array.isArray(sessions) &&
    sessions.every(isRecord) &&
    sessions.every(each => each.operation === operation);
  if (!isWhole) return { kind: 'unreadable' };
  // A restore may bring the id of another machine, while its session runs.
  const isMachineKept = operation === 'backup' || file === null;
  if (isMachineKept && machine !== null && here.machine !== null && machine !== here.machine) {
    return { kind: 'copy', reason: 'it is of another machine' };
  }
  // A restore or a copy makes a new file. Inode and time of birth together, since an inode alone is used again.
  if (file !== null && file !== here.file) {
    return { kind: 'copy', reason: 'it came back with a restore or a copy' };
  }
  return { kind: 'sessions', sessions };
}

/** How long the write of an old record took, at most. */
const LONGEST_WRITE_MS = 60_000;

/** What a record of a version before 1.2.0 says. Pure. */
export function understandOld(
  found: unknown,
  operation: Operation,
  { mtimeMs, birthtimeMs }: { readonly mtimeMs: number; readonly birthtimeMs: number },
): SessionFile {
  if (!isObject(found)) return { kind: 'unreadable' };
  const { marks, started, told, ...rest } = found;
  if (!isStrings(started) || !isStrings(told)) return { kind: 'unreadable' };
  const record = {
    ...rest,
    name: isObject(rest.caller) ? rest.caller.name : undefined,
    uptime: null,
    command: null,
    carriedEnv: marks,
    started: started.map(path => ({ path, attempts: 0, isSettled: told.includes(path) })),
    isOver: false,
  };
  if (!isRecord(record) || record.operation !== operation) return { kind: 'unreadable' };
  // It does not say which machine it is of. Written once and never again; a restore gives a new file an old time.
  return birthtimeMs - mtimeMs > LONGEST_WRITE_MS
    ? { kind: 'copy', reason: 'it came back with a restore or a copy' }
    : { kind: 'sessions', sessions: [record] };
}

function isRecord(found: unknown): found is SessionRecord {
  if (!isObject(found)) return false;
  const { session, operation, since, uptime, guardian, caller, state, sources, keyrings, timeoutMs } = found;
  const { carriedEnv, started, error, failed } = found;
  return (
    [session, since, found.name].every(isLine) &&
    isText(failed) &&
    (operation === 'backup' || operation === 'restore') &&
    !Number.isNaN(Date.parse(String(since))) &&
    (uptime === null || isCount(uptime)) &&
    isObject(guardian) &&
    isPid(guardian.pid) &&
    (guardian.start === null || isCount(guardian.start)) &&
    (guardian.boot === null || isLine(guardian.boot)) &&
    isObject(caller) &&
    isCount(caller.pid) &&
    typeof caller.name === 'string' &&
    (state === 'pre' || state === 'inspect' || state === 'post' || state === 'error') &&
    (found.command === null || isLine(found.command)) &&
    Array.isArray(sources) &&
    sources.every(isSource) &&
    (keyrings === null || (isStrings(keyrings) && keyrings.every(isPath))) &&
    (timeoutMs === null || isCount(timeoutMs)) &&
    isObject(carriedEnv) &&
    Object.entries(carriedEnv).every(([name, value]) => CARRIED.includes(name) && isLine(value)) &&
    Array.isArray(started) &&
    started.every(isStarted) &&
    (error === null || isLine(error)) &&
    (found.isTrial === undefined || found.isTrial === true) &&
    (found.view === undefined || (Array.isArray(found.view) && found.view.every(isViewMount))) &&
    typeof found.isOver === 'boolean'
  );
}

/** What else of the environment a hook of `error` needs, should the session not be there any more to tell it. */
export const CARRIED: readonly string[] = ['TKLBAM_HOOK_RESUME', 'TKLBAM_HOOK_SIMULATE'];

const isSource = (value: unknown): boolean =>
  isObject(value) && (value.kind === 'local' || value.kind === 'profile') && isPath(value.directory);

const isStarted = (value: unknown): boolean =>
  isObject(value) && isPath(value.path) && isCount(value.attempts) && typeof value.isSettled === 'boolean';

const isViewMount = (value: unknown): boolean =>
  isObject(value) && typeof value.device === 'string' && isPath(value.root) && isPath(value.path);

const isCount = (value: unknown): boolean =>
  typeof value === 'number' && Number.isFinite(value) && value >= 0;

const isPid = (value: unknown): boolean => Number.isInteger(value) && Number(value) > 0;

/** Text that can be in an environment: the name of a file may have more than a line. */
const isText = (value: unknown): value is string => typeof value === 'string' && !value.includes('\0');

const isLine = (value: unknown): value is string => isText(value) && !value.includes('\n');

const isPath = (value: unknown): boolean =>
  typeof value === 'string' && value.startsWith('/') && !value.includes('\0');

/** Writes the record anew, with its inode and time of birth, by which a copy is known, unless the file system has none. */
function write(path: string, sessions: readonly SessionRecord[], isCopyTold = true): FileIdentity {
  let file: FileIdentity | null = null;
  replaceDurably(path, fd => {
    if (isCopyTold) file = identify(fstatSync(fd, { bigint: true }));
    return `${JSON.stringify({ version: VERSION, machine: machineId(), file, sessions })}\n`;
  });
  // Where there is no statx(2), Node.js takes the time of the last change for that of birth, and the rename has set that.
  const here = identify(statSync(path, { bigint: true }));
  return file === null || file === here ? here : write(path, sessions, false);
}
