// All that a hook or a command started: found, and ended.
import { setTimeout as sleep } from 'node:timers/promises';
import { isObject, isStrings } from '../system/json.ts';
import { bootId, elapsedMs } from '../system/machine.ts';
import {
  addDescendants,
  lineage,
  processes,
  processId,
  realUser,
  type Stat,
  send,
  stat,
} from '../system/proc.ts';
import type { Trace } from '../types.ts';
import { type Cgroup, makeCgroup, openCgroup, spawnInside } from './cgroup.ts';
import { tagged } from './tagged.ts';

export interface Tree {
  /** Whether nothing is left of it, zombies apart. */
  readonly isEmpty: () => Promise<boolean>;
  /** One after the other, each to all of it. */
  readonly signal: (...signals: readonly NodeJS.Signals[]) => Promise<void>;
}

export interface Tracked<T> {
  readonly child: T;
  /** Undefined if there is no process. */
  readonly tree: Tree | undefined;
  /** It has ended, by itself or by `end`: what it left is on its own from now on. */
  readonly release: () => void;
}

/**
 * Calls `spawn`, and keeps track of all that comes of it: in a cgroup of its own, where there is the right to one. `note` is called just
 * before and just after, for whoever has to end it if we are killed.
 */
export function track<T extends { readonly pid?: number | undefined }>(
  spawn: () => T,
  { hasOwnGroup, tag }: Pick<Trace, 'hasOwnGroup' | 'tag'>,
  note: (trace: Trace) => void = () => {},
): Tracked<T> {
  const made = makeCgroup();
  const before: Trace = { cgroup: made?.path ?? null, leader: null, hasOwnGroup, tag };
  note(before);
  const { child, isInside } =
    made === undefined ? { child: spawn(), isInside: false } : spawnInside(made, spawn);
  if (!isInside) made?.release();
  const cgroup = isInside ? made : undefined;
  if (child.pid === undefined) return { child, tree: undefined, release: () => cgroup?.release() };
  const trace: Trace = { ...before, cgroup: cgroup?.path ?? null, leader: processId(child.pid) };
  note(trace);
  return { child, tree: tree(trace, cgroup), release: () => cgroup?.release() };
}

/** Ends what is left of a tree whose runner is gone. */
export async function endTraced(trace: Trace, graceMs: number): Promise<void> {
  if (trace.leader !== null && trace.leader.boot !== bootId()) return;
  const cgroup = trace.cgroup === null ? undefined : openCgroup(trace.cgroup);
  await end(tree(trace, cgroup), 'SIGTERM', graceMs, new AbortController().signal);
  cgroup?.release();
}

export function isTrace(found: unknown): found is Trace {
  if (!isObject(found)) return false;
  const { cgroup, leader, hasOwnGroup, tag } = found;
  return (
    (cgroup === null || typeof cgroup === 'string') &&
    (leader === null || (isObject(leader) && typeof leader.pid === 'number' && leader.pid > 1)) &&
    typeof hasOwnGroup === 'boolean' &&
    isStrings(tag)
  );
}

/**
 * With a cgroup, what is in it; and by /proc what was moved out of it, as pam_systemd(8) does, or all where there is none: what
 * descends from its first process, or has its process group or session, or did once. What left all of these is found by the tag in its
 * environment, if it has no cgroup, as far as that can be read in time.
 */
function tree({ leader, hasOwnGroup, tag }: Trace, cgroup: Cgroup | undefined): Tree {
  const known = new Map<number, number>();
  if (leader !== null && leader.start !== null) known.set(leader.pid, leader.start);
  const since = leader?.start ?? 0;
  const bearers = cgroup === undefined && tag.length > 0 ? tagFinder(tag) : undefined;
  // The number of a group or a session is no other's as long as anybody is in it.
  let isGroupOurs = hasOwnGroup && leader !== null && (stat(leader.pid)?.start ?? null) === leader.start;

  const isIn = (each: Stat): boolean => each.group === leader?.pid || each.session === leader?.pid;
  const groupAnswers = (): boolean => isGroupOurs && leader !== null && send(-leader.pid, 0);

  let emptyLooks = 0;
  const members = async (all: ReadonlyMap<number, Stat>): Promise<readonly Stat[]> => {
    const candidates = [...all.values()].filter(
      each => each.start >= since && !each.isZombie && each.pid !== process.pid,
    );
    if (leader !== null && isGroupOurs) {
      const holder = all.get(leader.pid);
      isGroupOurs =
        holder === undefined ? groupAnswers() || candidates.some(isIn) : holder.start === leader.start;
    }
    const found = new Set(cgroup?.members());
    for (const each of candidates)
      if (known.get(each.pid) === each.start || (isGroupOurs && isIn(each))) found.add(each.pid);
    addDescendants(found, candidates);
    for (const pid of (await bearers?.(all, candidates, found)) ?? []) found.add(pid);
    addDescendants(found, candidates);
    const stats = candidates.filter(({ pid }) => found.has(pid));
    emptyLooks = stats.length === 0 ? emptyLooks + 1 : 0;
    for (const each of stats) known.set(each.pid, each.start);
    return stats;
  };

  const deliver = async (names: readonly NodeJS.Signals[]): Promise<void> => {
    const sendAll = (pid: number): void => {
      for (const name of names) send(pid, name);
    };
    const all = processes();
    if (all === undefined) {
      if (leader !== null) sendAll(hasOwnGroup ? -leader.pid : leader.pid);
      return;
    }
    // Looked for before any is signalled: the children of one that ends get another parent.
    const found = await members(all);
    const inside = new Set(cgroup?.members());
    cgroup?.signal(names);
    // The group at once: what it forks meanwhile gets the signal too.
    const group = cgroup === undefined && groupAnswers() ? leader?.pid : undefined;
    if (group !== undefined) sendAll(-group);
    for (const each of found) {
      if (inside.has(each.pid) || each.group === group) continue;
      // Checked again: the pid may be a stranger's by now.
      if (stat(each.pid)?.start === each.start) sendAll(each.pid);
    }
  };

  return {
    isEmpty: async () => {
      if (cgroup?.isPopulated()) return false;
      const dead = new Map<number, number>();
      for (let looks = 0; looks < LOOKS; looks++) {
        // What follows its parent more quickly than it can be looked at is in the group, or is not promised to be found.
        if (emptyLooks >= (cgroup !== undefined ? 1 : groupAnswers() ? Number.POSITIVE_INFINITY : 2)) break;
        if (looks > 0) await sleep(LOOK_AGAIN_MS);
        const all = processes();
        if (all === undefined) return leader === null || !send(hasOwnGroup ? -leader.pid : leader.pid, 0);
        if ((await members(all)).length > 0) return false;
        if (cgroup !== undefined || !groupAnswers()) continue;
        // It has members, but none for so long that it is seen alive: each forks the next at once.
        const seen = [...all.values()].filter(({ group }) => group === leader?.pid);
        if (seen.length === 0 || (looks > 0 && seen.some(each => dead.get(each.pid) !== each.start)))
          return false;
        for (const each of seen) dead.set(each.pid, each.start);
      }
      return true;
    },
    signal: async (...names) => {
      // Stopped, so that none forks while its descendants are looked for.
      if (names.includes('SIGKILL') && cgroup === undefined) await deliver(['SIGSTOP']);
      await deliver(names);
    },
  };
}

/** How many empty looks at /proc in a row mean that nothing is left. */
const LOOKS = 3;
const LOOK_AGAIN_MS = 10;

/** Finds, among processes that may have lost their parent, those with the tag; asks each once. */
function tagFinder(
  tag: readonly string[],
): (
  all: ReadonlyMap<number, Stat>,
  candidates: readonly Stat[],
  known: ReadonlySet<number>,
) => Promise<readonly number[]> {
  const asked = new Map<number, number>();
  /** Those of other users, by pid, with their start. */
  const strange = new Map<number, number>();
  let patienceMs = STRANGERS_MS;
  return async (all, candidates, known) => {
    // Theirs is the first process, or one that we descend from ourselves.
    const adopters = lineage(process.pid, all).add(0).add(1);
    const orphans = candidates.filter(
      each => adopters.has(each.parent) && !known.has(each.pid) && asked.get(each.pid) !== each.start,
    );
    const own = orphans.filter(
      ({ pid, start }) => strange.get(pid) !== start && realUser(pid) === process.getuid?.(),
    );
    const isOwn = new Set(own);
    const others = orphans.filter(each => !isOwn.has(each));
    for (const { pid, start } of others) strange.set(pid, start);
    const ask = async (among: readonly Stat[], limitMs: number): Promise<readonly number[]> => {
      const pids = among.map(({ pid }) => pid);
      const answer = await tagged(pids, tag, limitMs);
      for (const each of among) if (answer.asked.includes(each.pid)) asked.set(each.pid, each.start);
      return answer.found;
    };
    const found = own.length === 0 ? [] : await ask(own, OWN_MS);
    if (others.length === 0 || patienceMs <= 0) return found;
    const since = elapsedMs();
    const more = await ask(others, patienceMs);
    patienceMs -= elapsedMs() - since;
    return [...found, ...more];
  };
}

/** How long those of our own user are asked, each time; and those of others, who can see to it that they do not answer, in all. */
const OWN_MS = 1000;
const STRANGERS_MS = 50;

/**
 * Ends a tree: the signal, then a grace, then SIGKILL to what is left. `hurry` cuts the grace short. Resolves when nothing is left,
 * or nothing that can be killed: a process in an uninterruptible sleep, such as one that writes to a frozen file system, dies when
 * that ends.
 */
export async function end(
  { isEmpty, signal }: Tree,
  first: NodeJS.Signals | undefined,
  graceMs: number,
  hurry: AbortSignal,
): Promise<void> {
  // A stopped process acts on TERM only when it is continued.
  await signal(...(first === undefined ? [] : [first]), 'SIGCONT');
  // By uptime, not by the clock, which hooks set.
  const deadline = elapsedMs() + graceMs;
  while (elapsedMs() < deadline && !hurry.aborted) {
    const lookedAt = elapsedMs();
    if (await isEmpty()) return;
    // With a hundred thousand processes on the machine a look takes long.
    await sleep(Math.max(POLL_MS, elapsedMs() - lookedAt));
  }
  const last = elapsedMs() + KILL_MS;
  while (elapsedMs() < last && !(await isEmpty())) {
    await signal('SIGKILL');
    await sleep(POLL_MS);
  }
}

const POLL_MS = 50;
const KILL_MS = 5000;
