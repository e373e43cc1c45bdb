// The lock that says that somebody is responsible for the sessions of an operation, and who.
import { spawnSync } from 'node:child_process';
import {
  closeSync,
  constants,
  fstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { isTrace } from '../run/process-tree.ts';
import { attempt, errnoOf } from '../system/errno.ts';
import { isObject } from '../system/json.ts';
import { findHelper } from '../system/which.ts';
import type { Operation, Trace } from '../types.ts';

/** What its holder does: run a session, or tell hooks of one that was cut off. */
export type Purpose = 'session' | 'recovery';

/** The right to the sessions of an operation, until `close` or the end of the process. */
export interface Lock {
  /** Says what is running now, a hook or a command; undefined when it has ended. */
  readonly note: (trace: Trace | undefined) => void;
  /** What the last holder left running, maybe. */
  readonly left: Trace | undefined;
  readonly become: (purpose: Purpose) => void;
  readonly close: () => void;
}

/** Where the records of sessions are, below the state directory. Dumps beside it are to be backed up, and it is not. */
export const sessionsDirectory = (stateDirectory: string): string => `${stateDirectory}/sessions`;

const lockPath = (directory: string, operation: Operation): string =>
  `${sessionsDirectory(directory)}/${operation}.lock`;

/** As `lockInTurn` for one; undefined if another process has it. */
export function lock(
  stateDirectory: string,
  operation: Operation,
  purpose: Purpose,
  waitSeconds: number,
): Lock | undefined {
  return lockInTurn(stateDirectory, [operation], purpose, waitSeconds)[0];
}

/**
 * The locks of operations, one after the other, as far as no other process has one for so many seconds. Throws the error of a system call, or
 * that flock(1) cannot be run. Hooks do not inherit them.
 */
export function lockInTurn(
  stateDirectory: string,
  operations: readonly Operation[],
  purpose: Purpose,
  waitSeconds: number,
): readonly Lock[] {
  makeDirectories(stateDirectory);
  const paths = operations.map(operation => lockPath(stateDirectory, operation));
  for (;;) {
    const files: { readonly path: string; readonly fd: number }[] = [];
    let taken: typeof files = [];
    try {
      const { O_RDWR, O_CREAT, O_NOFOLLOW } = constants;
      for (const path of paths)
        files.push({ path, fd: openSync(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0o600) });
      const fds = files.map(({ fd }) => fd);
      const locked = files.slice(0, flock(fds, waitSeconds));
      if (locked.every(({ path, fd }) => isStill(fd, path))) taken = locked;
      if (taken.length > 0 || locked.length === 0)
        return taken.map(({ path, fd }) => holder(path, fd, purpose));
    } finally {
      for (const each of files) if (!taken.includes(each)) closeSync(each.fd);
    }
  }
}

/**
 * Locks open files, until they are closed, one after the other, as far as no other process has one for so many seconds; returns how many. It is
 * a flock(2), which the kernel takes back however its holder ends. Node.js has no call for it; but a lock belongs to the open file, and so
 * flock(1) can take it for us on a descriptor that it inherits. A shell starts several in less time than we do. Throws if that cannot be run.
 */
export function flock(fds: readonly number[], waitSeconds: number): number {
  const program = believed('flock');
  const options = ['--wait', String(waitSeconds), '--conflict-exit-code'];
  // Where it is for the child; the exit status says of which one another process has it.
  const first = 3;
  const all = fds.map((_, index) => `"$@" ${first + index} ${first + index}`).join(' && exec ');
  const [file, args]: [string, string[]] =
    fds.length === 1
      ? [program, [...options, String(first), String(first)]]
      : [believed('sh'), ['-c', all, 'sh', program, ...options]];
  for (let kills = 0; ; kills++) {
    const { status, signal, error } = spawnSync(file, args, {
      env: {},
      stdio: ['ignore', 'ignore', 'ignore', ...fds],
    });
    if (status === 0) return fds.length;
    const place = (status ?? 0) - first;
    if (place >= 0 && place < fds.length) return place;
    // It died of a signal to our whole process group, which is delivered to us too, and acted upon once we have the lock.
    const isKilled = signal !== null || (status ?? 0) > 128;
    if (!isKilled || kills === 2)
      throw error ?? new Error(`${program} ended with ${signal ?? `status ${status}`}`);
  }
}

function believed(name: string): string {
  const program = findHelper(name);
  if (program === undefined) throw new Error(`there is no ${name}(1) that root alone can write to`);
  return program;
}

/** What its holder does; undefined if nobody says so. */
export const purposeOf = (stateDirectory: string, operation: Operation): Purpose | undefined =>
  readNote(lockPath(stateDirectory, operation))?.purpose;

/** https://bford.info/cachedir/: what a backup of all the machine is to leave out. A record that is restored is none. */
const CACHE_TAG = `Signature: 8a477f597d28d172789f06886806bc55
# Records of backup and restore sessions that are not over (tklbam-hooks(8)): of no use in a backup.
`;

/** Makes the state directory, not its parents: Node.js' recursive mkdir tries for ever below /proc. */
function makeDirectories(stateDirectory: string): void {
  // What monitoring may read is in it; all else has a directory of its own there, or is root's to read.
  makeDirectory(stateDirectory, 0o711);
  const sessions = sessionsDirectory(stateDirectory);
  if (!makeDirectory(sessions, 0o700)) return;
  attempt(() => {
    const fd = openSync(`${sessions}/CACHEDIR.TAG`, 'wx', 0o600);
    writeSync(fd, CACHE_TAG);
    closeSync(fd);
  });
}

/** Makes a directory; whether it was not there. */
function makeDirectory(path: string, mode: number): boolean {
  try {
    mkdirSync(path, { mode });
    return true;
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error;
    return false;
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

interface Note {
  readonly purpose: Purpose;
  readonly trace: Trace | undefined;
}

function holder(path: string, fd: number, given: Purpose): Lock {
  const left = readNote(path)?.trace;
  let purpose = given;
  // The note is of use only until the next boot, and only if we are killed: worth neither an fsync nor a failure.
  const write = (trace: Trace | undefined): void => {
    attempt(() => writeSync(fd, JSON.stringify({ purpose, trace }).padEnd(NOTE_SIZE), 0));
  };
  write(left);
  return {
    note: write,
    left,
    become: next => {
      purpose = next;
      write(undefined);
    },
    close: () => {
      // Removed while it is still ours: whoever opened it meanwhile will see that it is no longer the one.
      attempt(() => unlinkSync(path));
      closeSync(fd);
    },
  };
}

function readNote(path: string): Note | undefined {
  const found: unknown = attempt(() => JSON.parse(readFileSync(path, 'utf8')));
  if (!isObject(found)) return undefined;
  const { purpose, trace } = found;
  if (purpose !== 'session' && purpose !== 'recovery') return undefined;
  return { purpose, trace: isTrace(trace) ? trace : undefined };
}

/** A note of one fixed size, so that it can be overwritten even when the disk is full. */
const NOTE_SIZE = 8192;
