// What the caller of a session leaves running when it dies: a backup that goes on beside services that start again.
import { CALLER_TAG } from '../hooks/plan.ts';
import { addDescendants, isAlive, lineage, processes, type Stat, send, stat } from '../system/proc.ts';
import type { ProcessId } from '../types.ts';
import { end, type Tree } from './process-tree.ts';
import { tagged } from './tagged.ts';

export interface CallerProcesses {
  /** To be called at each request, with the tag of its environment: the caller may have started others since. */
  readonly note: (tag: string | undefined) => void;
  /**
   * Ends what bears the tag, but for what has left the caller's session and so is a daemon; and, if the caller itself is gone, what were its
   * children when they were noted. `graceMs` as with `end`.
   */
  readonly end: (graceMs: number) => Promise<void>;
}

export function callerProcesses(caller: ProcessId): CallerProcesses {
  const session = stat(caller.pid)?.session;
  const known = new Map<number, number>();
  const marked = new Map<number, number | undefined>();
  let tag: string | undefined;

  const isOurs = (pid: number, all: ReadonlyMap<number, Stat>): boolean => lineage(pid, all).has(process.pid);

  const note = (given: string | undefined): void => {
    tag = given;
    const all = processes();
    if (all === undefined || !isAlive(caller)) return;
    for (const each of descendants([caller.pid], all)) {
      if (each.pid !== caller.pid && !isOurs(each.pid, all)) known.set(each.pid, each.start);
    }
  };

  // Twice each: the first time it may not have come to execve(2) yet, and have the caller's own environment.
  const asked = new Map<number, { readonly start: number; readonly times: number }>();

  const members = async (): Promise<readonly Stat[]> => {
    const all = processes();
    if (all === undefined) return [];
    const others = [...all.values()].filter(
      each => !each.isZombie && each.pid !== caller.pid && !isOurs(each.pid, all),
    );
    const noted = isAlive(caller) ? [] : others.filter(each => known.get(each.pid) === each.start);
    const timesAsked = ({ pid, start }: Stat): number => {
      const last = asked.get(pid);
      return last?.start === start ? last.times : 0;
    };
    const suspects = others.filter(each => each.session === session && timesAsked(each) < 2);
    for (const each of suspects) asked.set(each.pid, { start: each.start, times: timesAsked(each) + 1 });
    const { found } = await tagged(
      tag === undefined ? [] : suspects.map(({ pid }) => pid),
      [`${CALLER_TAG}=${tag}`],
      PATIENCE_MS,
    );
    for (const pid of found) marked.set(pid, all.get(pid)?.start);
    const bearers = others.filter(each => marked.get(each.pid) === each.start);
    const roots = [...noted, ...bearers].map(({ pid }) => pid);
    return descendants(roots, all).filter(each => others.includes(each));
  };

  const tree: Tree = {
    isEmpty: async () => (await members()).length === 0,
    signal: async (...names) => {
      for (const each of await members()) {
        // Checked again: the pid may be a stranger's by now.
        if (stat(each.pid)?.start !== each.start) continue;
        for (const name of names) send(each.pid, name);
      }
    },
  };
  return { note, end: graceMs => end(tree, 'SIGTERM', graceMs, new AbortController().signal) };
}

/**
 * How long processes of the caller's own session are asked: nobody else can put one into it, and what is not found on a busy machine writes
 * on beside services that start again.
 */
const PATIENCE_MS = 10_000;

function descendants(roots: readonly number[], all: ReadonlyMap<number, Stat>): Stat[] {
  const found = new Set(roots);
  addDescendants(found, [...all.values()]);
  return [...all.values()].filter(({ pid }) => found.has(pid));
}
