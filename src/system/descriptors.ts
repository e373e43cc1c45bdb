// File descriptors as /proc shows them: what the caller left open, and whether anybody is there to read what a hook says.
import { spawnSync } from 'node:child_process';
import { closeSync, constants, fstatSync, openSync, readdirSync, readFileSync, writeSync } from 'node:fs';
import { attempt, errnoOf } from './errno.ts';
import { findHelper } from './which.ts';

/** Flags of open(2), the same on all architectures of Linux that Node.js runs on. */
const O_CLOEXEC = 0o2000000;
const O_ACCMODE = 0o3;
const O_WRONLY = 0o1;

/** The flags that a descriptor was opened with; undefined if it is gone, another user's, or there is no /proc. */
function flagsOf(process: string, fd: string): number | undefined {
  const text = attempt(() => readFileSync(`/proc/${process}/fdinfo/${fd}`, 'latin1'));
  const [, flags] = /^flags:\s*(\d+)$/m.exec(text ?? '') ?? [];
  return flags === undefined ? undefined : Number.parseInt(flags, 8);
}

/** Whether hooks would inherit the descriptor. */
export function isInherited(fd: number): boolean {
  const flags = flagsOf('self', String(fd));
  return flags !== undefined && (flags & O_CLOEXEC) === 0;
}

/**
 * What the caller left open must not reach hooks: tklbam's own lock and log among it. Node.js sees to descriptors below 16 when it
 * starts, and to those above as far as they follow each other; its own are all close-on-exec.
 */
export function closeInherited(): void {
  for (const name of list('/proc/self/fd')) {
    if (Number(name) >= 16 && isInherited(Number(name))) attempt(() => closeSync(Number(name)));
  }
}

/** Whether writing to the descriptor would fail: the terminal is gone, or nobody has the other end of the pipe or socket open. */
export function isDead(fd: 1 | 2): boolean {
  try {
    // Writing nothing fails on a dead terminal (EIO) or socket (EPIPE). On a dead pipe it succeeds.
    writeSync(fd, Buffer.alloc(0));
    return fstatSync(fd).isFIFO() && !hasReader(fd);
  } catch (error) {
    return errnoOf(error) !== 'EAGAIN';
  }
}

/**
 * Whether a pipe that we write to has anybody to read it. poll(2) knows at once, and Node.js has no call for it: bash, whose `read -t 0`
 * asks it for descriptors that it could not read too. To look for a reader in /proc takes as long as strangers have descriptors.
 */
function hasReader(fd: 1 | 2): boolean {
  const flags = flagsOf('self', String(fd));
  // A descriptor that can be read is a reader itself; without flags nothing is known.
  if (flags === undefined || (flags & O_ACCMODE) !== O_WRONLY) return true;
  const bash = findHelper('bash');
  if (bash === undefined) return true;
  const { status } = spawnSync(bash, ['-c', 'read -t 0 -u 3'], {
    cwd: '/',
    env: {},
    stdio: ['ignore', 'ignore', 'ignore', fd],
  });
  return status !== 0;
}

/**
 * Takes over the output streams of a process that has others by now, in place of ours that nobody reads any more: tklbam's log is closed
 * before its `error` hooks are told. Does nothing if that process is gone, or is not ours to look into.
 */
export function adoptStreams(pid: number): void {
  for (const fd of [1, 2] as const) if (isDead(fd)) adoptStream(pid, fd);
}

/** Takes over one of them. False if it cannot be opened; ours is then as it was. */
export function adoptStream(pid: number, fd: 1 | 2): boolean {
  const path = `/proc/${pid}/fd/${fd}`;
  const { O_RDWR, O_WRONLY, O_APPEND, O_NOCTTY } = constants;
  // For reading too: a FIFO whose reader is gone would be waited for (fifo(7)), here and, as long as this is open, below.
  const spare = attempt(() => openSync(path, O_RDWR | O_APPEND | O_NOCTTY));
  if (spare === undefined) return false;
  // open(2) gives the lowest number that is free.
  closeSync(fd);
  attempt(() => openSync(path, O_WRONLY | O_APPEND | O_NOCTTY)) ??
    attempt(() => openSync('/dev/null', O_WRONLY));
  closeSync(spare);
  return true;
}

const list = (directory: string): string[] => attempt(() => readdirSync(directory)) ?? [];
