// The view: a mount namespace in which snapshots are mounted at the places of what they were taken of. It has no process of its own: it
// is there as long as we have it open or somebody lives in it, and after that the kernel drops it with its mounts.
import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { attempt } from '../system/errno.ts';
import { isObject } from '../system/json.ts';
import { mountsSeenBy } from '../system/mounts.ts';
import { mountNamespace, namespaceObstacle } from '../system/namespace.ts';
import { commOf, processes, type Stat, send, stat } from '../system/proc.ts';
import { ownWords } from '../system/self.ts';
import { findHelper, HELPER_ENV } from '../system/which.ts';
import type { ViewEntry, ViewMount } from '../types.ts';
import { MAKE_VIEW } from './errands.ts';
import { end, type Tree } from './process-tree.ts';
import type { Made } from './view-maker.ts';
import type { ViewFault } from './view-plan.ts';

export interface View {
  /** What setns(2) and nsenter(1) take, until it is closed. */
  readonly path: string;
  readonly mounts: readonly ViewMount[];
  /** Its mounts are gone then, unless somebody lives there. */
  readonly close: () => void;
}

/** Mounts what is asked for, where nobody else sees it. What takes the place of `/` is put together on `stage`, a directory of root's alone. */
export async function openView(entries: readonly ViewEntry[], stage: string): Promise<View | ViewFault> {
  const hook = entries[0]?.hook ?? '';
  const fault = (reason: string, remedy: string): ViewFault => ({
    hook,
    error: `the view that hook '${hook}' asks for cannot be made: ${reason} (${remedy})`,
  });
  const obstacle = namespaceObstacle();
  if (obstacle !== undefined) return fault(obstacle.reason, obstacle.remedy);
  const maker = spawn(
    findHelper('unshare') ?? '',
    ['--mount', '--propagation', 'slave', ...ownWords(), MAKE_VIEW],
    // A session of its own: Ctrl-C is for us to act upon.
    { cwd: '/', env: HELPER_ENV, detached: true, stdio: ['pipe', 'pipe', 'inherit'] },
  );
  const answered = new Promise<string>(resolve => {
    let text = '';
    maker.stdout.setEncoding('utf8').on('data', (data: string) => {
      text += data;
      if (text.endsWith('\n')) resolve(text);
    });
    maker.stdout.on('close', () => resolve(text));
    maker.on('error', () => resolve(text));
  });
  const ended = new Promise<void>(resolve => {
    maker.on('exit', () => resolve());
    maker.on('error', () => resolve());
  });
  // It may be gone.
  maker.stdin.on('error', () => {});
  try {
    maker.stdin.write(`${JSON.stringify({ entries, stage })}\n`);
    const answer = await answered;
    const made: unknown = attempt(() => JSON.parse(answer));
    if (!isMade(made)) return fault('its maker ended without an answer', 'see what it says above');
    if ('error' in made) return made;
    const fd = attempt(() => openSync(`/proc/${maker.pid}/ns/mnt`, 'r'));
    if (fd === undefined) return fault('its namespace cannot be opened', 'mount /proc');
    const path = `/proc/${process.pid}/fd/${fd}`;
    return { path, mounts: made.mounts, close: () => closeSync(fd) };
  } finally {
    // Then it ends; until it has, it would be found to live there.
    maker.stdin.end();
    await ended;
  }
}

/** Of our own making. */
const isMade = (found: unknown): found is Made =>
  isObject(found) && (Array.isArray(found.mounts) || typeof found.error === 'string');

/**
 * Ends who lives in a view: reading a snapshot that goes, or beside services that start again. Also in a copy of its namespace. Resolves
 * to the names of the programs.
 */
export async function endInhabitants(
  mounts: readonly ViewMount[],
  graceMs: number,
): Promise<readonly string[]> {
  const first = inhabitants(mounts);
  if (first.length === 0) return [];
  const names = first.map(({ pid }) => commOf(pid));
  const tree: Tree = {
    isEmpty: async () => inhabitants(mounts).length === 0,
    signal: async (...signals) => {
      for (const { pid, start } of inhabitants(mounts)) {
        // The pid may have gone to a stranger since.
        if (stat(pid)?.start !== start) continue;
        for (const signal of signals) send(pid, signal);
      }
    },
  };
  await end(tree, 'SIGTERM', graceMs, new AbortController().signal);
  return names.filter(name => name !== '');
}

/** Zombies apart. Those that live where we do are not asked: nobody can have mounted a view here. */
function inhabitants(mounts: readonly ViewMount[]): readonly Stat[] {
  if (sees('self', mounts)) return [];
  const own = mountNamespace('self');
  const living = [...(processes()?.values() ?? [])].flatMap(each => {
    const namespace = each.isZombie ? undefined : mountNamespace(each.pid);
    return namespace === undefined || namespace === own ? [] : [{ each, namespace }];
  });
  const isSeen = new Map<string, boolean>();
  for (const { each, namespace } of living) {
    // One that changed its root sees less than the others there.
    if (isSeen.get(namespace) !== true) isSeen.set(namespace, sees(each.pid, mounts));
  }
  return living.filter(({ namespace }) => isSeen.get(namespace) === true).map(({ each }) => each);
}

function sees(pid: number | 'self', mounts: readonly ViewMount[]): boolean {
  const seen = mountsSeenBy(pid);
  return mounts.some(({ device, root, path }) =>
    seen.some(each => each.device === device && each.root === root && each.path === path),
  );
}
