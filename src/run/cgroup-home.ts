// The control group that we are in, and a move that goes ahead of those that put hooks into others (cgroup.ts).
import { closeSync, openSync, readFileSync, write } from 'node:fs';
import { attempt } from '../system/errno.ts';
import { type MountLine, mountsSeenBy } from '../system/mounts.ts';

let mounts: readonly MountLine[] | undefined;

/** The directory of the cgroup that we are in. */
export function ownCgroup(): string | undefined {
  const [, own] = /^0::(\/.*)$/m.exec(attempt(() => readFileSync('/proc/self/cgroup', 'utf8')) ?? '') ?? [];
  if (own === undefined) return undefined;
  mounts ??= mountsSeenBy('self', 'cgroup2');
  for (const { root, path } of mounts) {
    const prefix = root === '/' ? '' : root;
    if (own === root || own.startsWith(`${prefix}/`))
      return (path + own.slice(prefix.length)).replace(/\/$/, '');
  }
  return undefined;
}

let ready: Promise<unknown> | undefined;

/**
 * To be called when hooks will be started soon. The kernel has whoever moves a process wait until all processors have been elsewhere (some
 * 10 ms), unless somebody has just waited for that. So a move that changes nothing goes ahead, in a thread, while hooks are read and judged.
 */
export function prepareCgroups(): void {
  const home = ownCgroup();
  const fd = home === undefined ? undefined : attempt(() => openSync(`${home}/cgroup.procs`, 'r+'));
  if (fd === undefined) return;
  // For this alone: libuv starts four with the first work for one.
  process.env.UV_THREADPOOL_SIZE = '1';
  const moved = new Promise<void>(resolve => {
    write(fd, '0', () => {
      closeSync(fd);
      resolve();
    });
  });
  ready = Promise.all([ready, moved]);
}

/** Resolves when all of these are over: later, one would take us out of another cgroup. */
export async function cgroupsReady(): Promise<void> {
  await ready;
}
