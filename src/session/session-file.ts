// The record of a session on disk, and the lock that says that somebody is responsible for it.
import { spawnSync } from 'node:child_process';
import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { attempt, errnoOf } from '../system/errno.ts';
import { isObject } from '../system/json.ts';
import type { Operation, SessionRecord } from '../types.ts';

/** Who is owed `error`, in the order to tell them: what was stopped last is started first. */
export const owed = ({ started, told }: SessionRecord): string[] =>
  started.toReversed().filter(path => !told.includes(path));

/** The right to a session of an operation, until `close` or the end of the process. */
export interface Lock {
  /** Throws the error of the system call that fails; what was saved before is then still there. */
  readonly save: (record: SessionRecord) => void;
  readonly load: () => SessionRecord | 'absent' | 'unreadable';
  /** Says which hook is running now, by the mark of its processes (plan.ts); undefined when it has ended. */
  readonly note: (mark: readonly string[] | undefined) => void;
  /** The mark that the last holder left. */
  readonly noted: () => readonly string[] | undefined;
  /** Takes an unreadable record out of the way. */
  readonly setAside: () => string;
  /** The session is over. */
  readonly remove: () => void;
  readonly close: () => void;
}

/** Of util-linux, which is essential in Debian. */
const FLOCK = '/usr/bin/flock';
/** How long to wait for one that is just ending. */
const WAIT_SECONDS = 2;

/**
 * Undefined if another process has it. It is a flock(2), which the kernel takes back however its holder ends; hooks do not inherit it.
 * Node.js has no call for it; but a lock belongs to the open file, and so flock(1) can take it for us on a descriptor that it inherits.
 * Throws the error of a system call, or that flock(1) cannot be run.
 */
export function lock(directory: string, operation: Operation): Lock | undefined {
  makeDirectory(directory);
  const path = lockPath(directory, operation);
  for (let kills = 0; ; ) {
    const fd = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
    const { status, signal, error } = spawnSync(FLOCK, ['--wait', String(WAIT_SECONDS), '3'], {
      stdio: ['ignore', 'ignore', 'ignore', fd],
    });
    if (status === 0 && isStill(fd, path)) return holder(directory, operation, path, fd);
    closeSync(fd);
    if (status === 1) return undefined;
    // A signal that was meant for us, and for all of our process group. We shall hear of it when we have the lock.
    if (signal !== null && ++kills < 3) continue;
    if (status !== 0) throw error ?? new Error(`${FLOCK} ended with ${signal ?? `status ${status}`}`);
  }
}

/** Not with those above it: Node.js tries for ever to make one where there can be none, as in /proc. */
function makeDirectory(path: string): void {
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error;
  }
}

/** Whether the file is still the one of that name: its last holder removed it, and another may have come since. */
function isStill(fd: number, path: string): boolean {
  try {
    return fstatSync(fd).ino === statSync(path).ino;
  } catch {
    return false;
  }
}

function holder(directory: string, operation: Operation, held: string, fd: number): Lock {
  const path = recordPath(directory, operation);
  return {
    save: record => {
      writeDurably(`${path}.new`, `${JSON.stringify(record)}\n`);
      renameSync(`${path}.new`, path);
      sync(directory);
    },
    load: () => load(directory, operation),
    note: mark => {
      // It is of use only until the next boot, and only if we are killed: neither worth an fsync nor a failure.
      attempt(() => writeNote(fd, mark));
    },
    noted: () => {
      const found: unknown = attempt(() => JSON.parse(readFileSync(held, 'utf8')));
      return isStrings(found) ? found : undefined;
    },
    setAside: () => {
      renameSync(path, `${path}.bad`);
      return `${path}.bad`;
    },
    remove: () => {
      unlinkSync(path);
      attempt(() => sync(directory));
    },
    close: () => {
      // Of a `save` that failed, or of one who was killed in it.
      attempt(() => unlinkSync(`${path}.new`));
      // Removed while it is still ours: whoever opened it meanwhile will see that it is no longer the one.
      attempt(() => unlinkSync(held));
      closeSync(fd);
    },
  };
}

/** Of one size, so that it has its place even when the disk is full. */
const writeNote = (fd: number, mark: readonly string[] | undefined): number =>
  writeSync(fd, (mark === undefined ? '' : JSON.stringify(mark)).padEnd(NOTE_SIZE), 0);

const NOTE_SIZE = 2048;

const lockPath = (directory: string, operation: Operation): string => `${directory}/${operation}.lock`;

const recordPath = (directory: string, operation: Operation): string => `${directory}/${operation}.json`;

/** Whether a session has left anything: a lock without a record is of one that was killed at its very beginning or end. */
export const hasTraces = (directory: string, operation: Operation): boolean => {
  const record = recordPath(directory, operation);
  return [record, `${record}.new`, lockPath(directory, operation)].some(path => existsSync(path));
};

/** Without a lock: what it says may be out of date at once. */
export function load(directory: string, operation: Operation): SessionRecord | 'absent' | 'unreadable' {
  let text: string;
  try {
    text = readFileSync(recordPath(directory, operation), 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return 'absent';
    throw error;
  }
  const found: unknown = attempt(() => JSON.parse(text));
  return isRecord(found) && found.operation === operation ? found : 'unreadable';
}

function isRecord(found: unknown): found is SessionRecord {
  if (!isObject(found)) return false;
  const { session, operation, since, guardian, caller, state, sources, keyrings, timeoutMs } = found;
  const { marks, started, told, error, failed } = found;
  return (
    [session, operation, since, state, failed].every(each => typeof each === 'string') &&
    isObject(guardian) &&
    typeof guardian.pid === 'number' &&
    isObject(caller) &&
    Array.isArray(sources) &&
    sources.every(each => isObject(each) && typeof each.directory === 'string') &&
    (keyrings === null || isStrings(keyrings)) &&
    (timeoutMs === null || typeof timeoutMs === 'number') &&
    isObject(marks) &&
    Object.values(marks).every(each => typeof each === 'string') &&
    isStrings(started) &&
    isStrings(told) &&
    (error === null || typeof error === 'string')
  );
}

const isStrings = (value: unknown): value is string[] =>
  Array.isArray(value) && value.every(each => typeof each === 'string');

function writeDurably(path: string, text: string): void {
  const fd = openSync(path, 'w', 0o600);
  try {
    for (let rest = Buffer.from(text); rest.length > 0; ) rest = rest.subarray(writeSync(fd, rest));
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** So that a name that was made or taken away in it stays so after a power cut. */
function sync(directory: string): void {
  const fd = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
