// Files of a server that is down, in its own directory, swapped for others that were made below it. By the user whose directory it is:
// root could be led elsewhere there.
import { lstatSync, readdirSync, readlinkSync } from 'node:fs';
import { attempt } from '../../system/errno.ts';
import type { Problem } from '../hook.ts';
import { type Ended, pause, run, runTool, type Tool } from '../tool.ts';

export interface Swap {
  readonly directory: string;
  /** By name. */
  readonly user: string;
  /** Of the restore. */
  readonly id: string;
  /** All that is to be swapped, in the directory or below it, as far as it is there. */
  readonly names: readonly string[];
}
type Where = Omit<Swap, 'names'>;

/** Where the new files are made. */
export const freshIn = ({ directory, id }: Pick<Swap, 'directory' | 'id'>): string =>
  `${directory}/.tklbam-hooks-new-${id}`;
/** Where the old ones are kept. */
export const beforeIn = ({ directory, id }: Pick<Swap, 'directory' | 'id'>): string =>
  `${directory}/before-${id}`;
/** Where they come one after the other; it gets its name when all are there. */
const partIn = (where: Where): string => `${beforeIn(where)}.part`;

export const isThere = (path: string): boolean => attempt(() => lstatSync(path)) !== undefined;

export const as = (user: string, tool: Tool): Ended => run(user === 'root' ? tool : { ...tool, user });

/** Runs them one after the other, until one fails. */
export function allAs(
  user: string,
  ...steps: readonly (readonly [string, ...string[]])[]
): Problem | undefined {
  for (const [name, ...args] of steps) {
    const { status, reason } = as(user, { name, args });
    if (status !== 0) return { reason, remedy: 'mend that' };
  }
  return undefined;
}

export const makeFresh = (where: Where): Problem | undefined =>
  allAs(where.user, ['mkdir', '-m', '700', '--', freshIn(where)]);

/** Writes what a descriptor has to a new file there. */
export function writeFresh(where: Where, name: string, stdin: number): Problem | undefined {
  const args = [`of=${freshIn(where)}/${name}`, 'bs=1M', 'conv=excl,fsync', 'status=none'];
  const { status, reason } = as(where.user, { name: 'dd', args, stdin });
  return status === 0 ? undefined : { reason, remedy: `make room in ${where.directory}` };
}

/** The server has to be down, and to stay so. What it fails at is taken back by `swapBack`. */
export function swapIn(swap: Swap): Problem | undefined {
  const { directory, user, names } = swap;
  const [fresh, before, part] = [freshIn(swap), beforeIn(swap), partIn(swap)];
  const move = (from: string, to: string): [string, ...string[]][] =>
    names
      .filter(name => isThere(`${from}/${name}`))
      .map(name => ['mv', '-T', '--', `${from}/${name}`, `${to}/${name}`]);
  return (
    flush(fresh) ??
    allAs(user, ['mkdir', '-m', '700', '--', part], ...move(directory, part)) ??
    flush(directory) ??
    allAs(user, ['mv', '-T', '--', part, before]) ??
    flush(directory) ??
    allAs(user, ...move(fresh, directory)) ??
    flush(directory)
  );
}

/**
 * After any part of `swapIn`, or of itself. As long as `before` has its name, all that is in place of it is new; while it is `.part`, what
 * is in the directory is old.
 */
export function swapBack(swap: Swap): Problem | undefined {
  const { directory, user, names } = swap;
  const [fresh, before, part] = [freshIn(swap), beforeIn(swap), partIn(swap)];
  if (isThere(before)) {
    const problem =
      allAs(user, ['rm', '-rf', '--', ...names.map(name => `${directory}/${name}`)]) ??
      flush(directory) ??
      allAs(user, ['mv', '-T', '--', before, part]) ??
      flush(directory);
    if (problem !== undefined) return problem;
  }
  const kept = isThere(part) ? names.filter(name => isThere(`${part}/${name}`)) : [];
  return (
    allAs(
      user,
      ...kept.map((name): [string, ...string[]] => [
        'mv',
        '-T',
        '--',
        `${part}/${name}`,
        `${directory}/${name}`,
      ]),
      ['rm', '-rf', '--', part, fresh],
    ) ?? flush(directory)
  );
}

/** What is left of what was made, when all of it is in its place. */
export const removeFresh = (where: Where): Problem | undefined =>
  allAs(where.user, ['rm', '-rf', '--', freshIn(where)]);

export const removeBefore = (where: Where): Problem | undefined =>
  allAs(where.user, ['rm', '-rf', '--', beforeIn(where)]);

/** A directory and all below it, on disk. */
function flush(directory: string): Problem | undefined {
  const { status, reason } = runTool('sync', '-f', '--', directory);
  return status === 0 ? undefined : { reason, remedy: 'mend that' };
}

/** The name of the user who has that number; undefined if nobody has. */
export function userName(uid: number): string | undefined {
  const { status, stdout } = runTool('id', '--name', '--user', `${uid}`);
  return status === 0 ? stdout.trim() : undefined;
}

/** Ends, for good, whoever works in that directory. */
export function endWorkersIn(directory: string): void {
  for (let left = workersIn(directory); left.length > 0; left = workersIn(directory)) {
    for (const pid of left) attempt(() => process.kill(pid, 'SIGKILL'));
    pause(20);
  }
}

/** The processes whose working directory it is. */
export const workersIn = (directory: string): number[] =>
  readdirSync('/proc')
    .filter(name => /^\d+$/.test(name) && attempt(() => readlinkSync(`/proc/${name}/cwd`)) === directory)
    .map(Number);
