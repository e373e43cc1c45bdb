// Processes as /proc/PID/stat has them (proc_pid_stat(5)). No file in there that waits for the memory map of a process is read: its
// owner can hold that for ever.
import { closeSync, openSync, readdirSync, readFileSync, readSync } from 'node:fs';
import { kill } from 'node:process';
import type { ProcessId } from '../types.ts';
import { attempt, errnoOf } from './errno.ts';
import { bootId } from './machine.ts';

export interface Stat {
  readonly pid: number;
  readonly parent: number;
  readonly group: number;
  readonly session: number;
  readonly isZombie: boolean;
  /** In clock ticks since boot: with the pid, it names one process until the next boot. */
  readonly start: number;
}

/** What the kernel calls a process (proc_pid_comm(5)): the first 15 bytes of its program's name. Empty if it is gone. */
export const commOf = (pid: number | string): string =>
  (attempt(() => readFileSync(`/proc/${pid}/comm`, 'utf8')) ?? '').replace(/\n$/, '');

/** Undefined for a process that is gone. */
export function stat(pid: number): Stat | undefined {
  try {
    const text = readStart(`/proc/${pid}/stat`);
    // The name of the program, in parentheses, may hold anything.
    const [state = '', parent, group, session, ...rest] = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return {
      pid,
      parent: Number(parent),
      group: Number(group),
      session: Number(session),
      isZombie: 'ZX'.includes(state),
      start: Number(rest[15]),
    };
  } catch {
    return undefined;
  }
}

/** Reads a small file. `readFileSync` would make room for 64 KiB each time. */
function readStart(path: string): string {
  const fd = openSync(path, 'r');
  try {
    return buffer.toString('latin1', 0, readSync(fd, buffer));
  } finally {
    closeSync(fd);
  }
}

const buffer = Buffer.alloc(1024);

/** The real user id: of a set-user-ID program, who started it. Undefined for a process that is gone. */
export function realUser(pid: number): number | undefined {
  const text = attempt(() => readStart(`/proc/${pid}/status`));
  const [, uid] = /^Uid:\t(\d+)/m.exec(text ?? '') ?? [];
  return uid === undefined ? undefined : Number(uid);
}

/** All processes, zombies too, by pid; undefined without /proc. */
export function processes(): ReadonlyMap<number, Stat> | undefined {
  const pids = (attempt(() => readdirSync('/proc')) ?? []).filter(name => /^\d+$/.test(name)).map(Number);
  if (pids.length === 0) return undefined;
  // In reverse order of start: the last that was started may be the first to end.
  const found = pids.toReversed().map(stat);
  return new Map(found.flatMap(each => (each === undefined ? [] : [[each.pid, each]])));
}

/** The process and those that it descends from. */
export function lineage(pid: number, all: ReadonlyMap<number, Stat>): Set<number> {
  const found = new Set<number>();
  for (let each = all.get(pid); each !== undefined && !found.has(each.pid); each = all.get(each.parent))
    found.add(each.pid);
  return found;
}

/** Adds to a set of processes all that descend from them. */
export function addDescendants(found: Set<number>, among: readonly Stat[]): void {
  for (let size = -1; size !== found.size; ) {
    size = found.size;
    for (const each of among) if (found.has(each.parent)) found.add(each.pid);
  }
}

export const processId = (pid: number): ProcessId => ({
  pid,
  start: stat(pid)?.start ?? null,
  boot: bootId(),
});

/** Whether that very process is still there. */
export function isAlive({ pid, start, boot }: ProcessId): boolean {
  if (start === null) return send(pid, 0);
  const found = stat(pid);
  // A zombie, whose parent does not ask for its status, has a pid and a start all the same.
  return boot === bootId() && found?.start === start && !found.isZombie;
}

/** Signals a process, or the group whose number is `-pid`. Whether there is such a one, be it another user's. */
export function send(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return kill(pid, signal);
  } catch (error) {
    return errnoOf(error) === 'EPERM';
  }
}
