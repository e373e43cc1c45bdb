// All that a hook started: found in /proc, and ended.
import { readdirSync, readFileSync } from 'node:fs';
import { kill } from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { attempt } from '../system/errno.ts';
import type { ProcessId } from '../types.ts';

export interface Tree {
  /** Every process of it that is not a zombie. */
  readonly members: () => readonly number[];
  readonly signal: (signal: NodeJS.Signals) => void;
}

/** What proc_pid_stat(5) says of a process. */
interface Stat {
  readonly pid: number;
  readonly parent: number;
  readonly group: number;
  readonly session: number;
  readonly isZombie: boolean;
  /** In clock ticks since boot: with the pid, it names one process for ever. */
  readonly start: number;
}

/**
 * The tree of the hook with this pid, which was started with the entries `mark` in its environment. A process belongs to it
 * by descent; by the hook's process group or session, where it has its own; by the mark, which a daemon that forked twice and
 * left the session still bears; or because it did once. Only one that dropped all of these at once escapes.
 */
export function tree(pid: number, hasOwnGroup: boolean, mark: readonly string[]): Tree {
  const since = stat(pid)?.start;
  const known = new Map<number, number>();
  if (since !== undefined) known.set(pid, since);

  const members = (): readonly number[] => {
    const all = processes();
    // Without /proc there is the process group, and its answer to signal 0.
    if (all === undefined || since === undefined) return send(hasOwnGroup ? -pid : pid, 0) ? [pid] : [];
    // The pid may have gone to a stranger, and with it the number of the group.
    const isOurs = all.find(each => each.pid === pid)?.start === since;
    const hasGroup = hasOwnGroup && (isOurs || !all.some(each => each.pid === pid));
    const found = new Set<number>();
    const candidates = all.filter(each => each.start >= since);
    for (const each of candidates) {
      const isMember =
        known.get(each.pid) === each.start ||
        (hasGroup && (each.group === pid || each.session === pid)) ||
        bears(each.pid, mark);
      if (isMember) found.add(each.pid);
    }
    addDescendants(found, candidates);
    for (const each of candidates) if (found.has(each.pid)) known.set(each.pid, each.start);
    return [...found];
  };

  const signal = (name: NodeJS.Signals): void => {
    const alive = members();
    // The group first and at once: what it forks meanwhile gets the signal too.
    if (hasOwnGroup && alive.length > 0) send(-pid, name);
    const rest = hasOwnGroup ? alive.filter(each => stat(each)?.group !== pid) : alive;
    for (const each of rest) send(each, name);
  };
  return { members, signal };
}

/** What bears the mark in its environment, and its descendants: what is left of a hook whose runner is gone. */
export function taggedProcesses(mark: readonly string[]): Tree {
  const members = (): readonly number[] => {
    const all = processes() ?? [];
    const found = new Set(all.map(({ pid }) => pid).filter(pid => bears(pid, mark)));
    addDescendants(found, all);
    return [...found];
  };
  return {
    members,
    signal: name => {
      for (const pid of members()) send(pid, name);
    },
  };
}

function addDescendants(found: Set<number>, among: readonly Stat[]): void {
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

/** As proc_sys_kernel(5) has it. */
export const bootId = (): string | null =>
  attempt(() => readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()) ?? null;

/**
 * Ends a tree: the signal, then a grace, then SIGKILL to what is left. `hurry` cuts the grace short. Resolves when nothing is left,
 * or nothing that can be killed: a process in an uninterruptible sleep, such as one that writes to a frozen file system, dies when
 * that ends.
 */
export async function end(
  { members, signal }: Tree,
  first: NodeJS.Signals | undefined,
  graceMs: number,
  hurry: AbortSignal,
): Promise<void> {
  if (first !== undefined) signal(first);
  // What is stopped would not hear it.
  signal('SIGCONT');
  // Not by the clock, which hooks set.
  const deadline = performance.now() + graceMs;
  while (performance.now() < deadline && !hurry.aborted) {
    if (members().length === 0) return;
    await sleep(POLL_MS);
  }
  for (let round = 0; round < KILL_ROUNDS && members().length > 0; round++) {
    signal('SIGKILL');
    await sleep(POLL_MS);
  }
}

const POLL_MS = 50;
const KILL_ROUNDS = 100;

function processes(): Stat[] | undefined {
  try {
    const pids = readdirSync('/proc').filter(name => /^\d+$/.test(name));
    return pids.length === 0
      ? undefined
      : pids.map(name => stat(Number(name))).filter((each): each is Stat => each?.isZombie === false);
  } catch {
    return undefined;
  }
}

/** Undefined for a process that is gone. */
function stat(pid: number): Stat | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
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

function bears(pid: number, mark: readonly string[]): boolean {
  const entries = new Set(attempt(() => readFileSync(`/proc/${pid}/environ`, 'utf8'))?.split('\0'));
  return mark.every(entry => entries.has(entry));
}

/** Whether there is such a process or group. */
const send = (pid: number, signal: NodeJS.Signals | 0): boolean => attempt(() => kill(pid, signal)) ?? false;
