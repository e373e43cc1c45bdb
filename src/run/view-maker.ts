// Mounts a view, in the mount namespace that unshare(1) started us in. No name goes through a shell, and each place is opened before it is
// mounted on: whoever can rename directories there must not lead a mount elsewhere.
import { spawnSync } from 'node:child_process';
import { constants, fstatSync, openSync, readFileSync, readlinkSync, readSync, writeSync } from 'node:fs';
import { attempt, describeErrno, errnoOf } from '../system/errno.ts';
import { isObject } from '../system/json.ts';
import { type MountLine, mountsSeenBy } from '../system/mounts.ts';
import { findHelper, HELPER_ENV } from '../system/which.ts';
import type { Environment, ViewEntry, ViewMount } from '../types.ts';
import { faultOf, planView, type ViewFault, type ViewStep } from './view-plan.ts';

/** What the maker says: where the snapshots are, or why they are not. */
export type Made = { readonly mounts: readonly ViewMount[] } | ViewFault;

/** Reads `{entries, stage}` as a line of JSON, answers likewise, and lives until its standard input ends: somebody is to open the namespace. */
export function viewMaker(): number {
  const found: unknown = attempt(() => JSON.parse(readLine()));
  // Written by ourselves.
  if (!isObject(found) || !Array.isArray(found.entries) || typeof found.stage !== 'string') return 2;
  writeSync(1, `${JSON.stringify(make(found.entries, found.stage))}\n`);
  readLine();
  return 0;
}

function readLine(): string {
  const parts: Buffer[] = [];
  for (;;) {
    const buffer = Buffer.alloc(1 << 16);
    const length = readSync(0, buffer);
    parts.push(buffer.subarray(0, length));
    if (length === 0 || buffer.subarray(0, length).includes('\n')) return Buffer.concat(parts).toString();
  }
}

function make(entries: readonly ViewEntry[], stage: string): Made {
  const before = mountsSeenBy('self');
  const steps = planView(
    entries,
    before.map(({ path }) => path),
  );
  // All of them before the first is hidden by what is mounted over it.
  const live = new Map<ViewStep, number>();
  for (const step of steps) {
    if (step.kind === 'snapshot') continue;
    const found = openPlace(step.path);
    if (typeof found === 'number') {
      // What is mounted over a mount hides it, and then it is no place of its own.
      if (step.asked !== undefined || isMount(found, step.path, before)) live.set(step, found);
    } else if (step.asked !== undefined) return faultOf(step.asked, ...found);
  }
  const isRoot = steps[0]?.path === '/';
  const prefix = isRoot ? stage : '';
  for (const step of steps) {
    const fault =
      step.kind === 'snapshot' ? mountSnapshot(step, prefix) : passThrough(step, live.get(step), prefix);
    if (fault !== undefined) return fault;
  }
  const [first] = entries;
  if (isRoot && first !== undefined) {
    const why = changeRoot(stage);
    if (why !== undefined) return faultOf(first, why, "leave '/' out");
  }
  const after = mountsSeenBy('self');
  const mounts: ViewMount[] = [];
  for (const step of steps) {
    const top = step.kind === 'snapshot' ? after.findLast(({ path }) => path === step.path) : undefined;
    if (step.kind === 'live' || top === undefined) continue;
    const { device, root, path } = top;
    // Else who lives beside it could not be told from who lives in it.
    if (before.some(each => each.device === device && each.root === root && each.path === path)) {
      const why = `'${step.source}' is what is mounted at '${path}' anyway`;
      return faultOf(step, why, 'name a snapshot of it');
    }
    mounts.push({ device, root, path });
  }
  return { mounts };
}

function mountSnapshot(step: Extract<ViewStep, { kind: 'snapshot' }>, prefix: string): ViewFault | undefined {
  const { fstype, source, path, options } = step;
  const place = path === '/' ? prefix : `${prefix}${path}`;
  const target = openPlace(place);
  if (typeof target !== 'number') return faultOf(step, ...target);
  if (!fstatSync(target).isDirectory()) return faultOf(step, `'${path}' is no directory`, 'name one');
  // Each is on top of the one before.
  const mountThere = (...words: readonly string[]): string | undefined => {
    const top = openPlace(place);
    return typeof top === 'number' ? mount([...words, '/proc/self/fd/3'], [top], path) : top[0];
  };
  // The kernel refuses to mount a file system over itself (EBUSY): a subvolume over another one.
  const cover =
    fstype === 'btrfs' ? mountThere('--types', 'tmpfs', '--options', 'ro,size=4k', 'tmpfs') : undefined;
  const why =
    cover ??
    (options.split(',').includes('bind')
      ? // A bind takes other options in a second step (mount(8)).
        (mountThere('--bind', '--', source) ?? mountThere('--options', `remount,${options}`))
      : mountThere('--types', fstype, '--options', options, '--', source));
  if (why !== undefined) {
    const command = `mount -t ${fstype} -o ${options} ${source} /mnt`;
    return faultOf(step, `'${path}' cannot be shown: ${why}`, `try '${command}'`);
  }
  // Else it would be in what passes through, if it stands there itself.
  const fault = path === '/' ? mountThere('--make-unbindable') : undefined;
  return fault === undefined ? undefined : faultOf(step, fault, "leave '/' out");
}

/** By a bind of all that is mounted there. */
function passThrough(
  { path, asked }: Extract<ViewStep, { kind: 'live' }>,
  source: number | undefined,
  prefix: string,
): ViewFault | undefined {
  if (source === undefined) return undefined;
  const target = openPlace(`${prefix}${path}`);
  if (typeof target !== 'number') {
    // What was made and mounted since the snapshot was not there at that moment.
    return asked === undefined
      ? undefined
      : faultOf(asked, `'${path}' is not in the snapshot`, 'make it before the snapshot is taken');
  }
  const why = mount(['--rbind', '/proc/self/fd/3', '/proc/self/fd/4'], [source, target], path);
  if (why === undefined) return undefined;
  const error = `'${path}', which is not frozen, cannot be shown within what is: ${why}`;
  return asked === undefined
    ? { hook: '', error: `the view cannot be made: ${error} (umount it, or leave out what is around it)` }
    : faultOf(asked, error, 'leave it out');
}

/** Since util-linux 2.39, mount(8) would call move_mount(2), which follows no link at the end of a path, nor those of /proc/self/fd. */
const MOUNT_ENV: Environment = { ...HELPER_ENV, LIBMOUNT_FORCE_MOUNT2: 'always' };

/** Why it could not be done, as mount(8) says it; descriptors are 3 and 4 there. */
function mount(words: readonly string[], descriptors: readonly number[], path: string): string | undefined {
  const { status, stderr, error } = spawnSync(
    findHelper('mount') ?? '',
    ['--no-mtab', '--no-canonicalize', ...words],
    { cwd: '/', env: MOUNT_ENV, encoding: 'utf8', stdio: ['ignore', 'ignore', 'pipe', ...descriptors] },
  );
  if (status === 0) return undefined;
  const said = (stderr ?? '').split('\n').find(line => line.trim() !== '');
  const plain = said?.replaceAll(/\/proc\/self\/fd\/[34]/g, path).replace(/^mount: (?:.*?: )?/, '');
  return plain?.replace(/\.$/, '') ?? error?.message ?? `mount(8) ended with status ${status}`;
}

/** What is on the stage takes the place of `/`, for us and for all who come (pivot_root(2), `pivot_root(".", ".")`). */
function changeRoot(stage: string): string | undefined {
  const words = ['-ec', 'cd "$1"; pivot_root . .; umount -l .', 'sh', stage];
  const { status, stderr } = spawnSync(findHelper('sh') ?? '', words, {
    cwd: '/',
    env: HELPER_ENV,
    encoding: 'utf8',
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  return status === 0 ? undefined : `'/' cannot be shown: ${(stderr ?? '').trim().split('\n').at(-1)}`;
}

/** Of open(2), the same on all architectures of Linux that Node.js runs on. */
const O_PATH = 0o10000000;

/** What is at that path, and nowhere else; or why not, and the remedy. Nothing is asked of its file system. */
function openPlace(path: string): number | [why: string, remedy: string] {
  try {
    const fd = openSync(path, O_PATH | constants.O_NOFOLLOW);
    const real = readlinkSync(`/proc/self/fd/${fd}`);
    const link = fstatSync(fd).isSymbolicLink() ? attempt(() => readlinkSync(path)) : undefined;
    if (real === path && link === undefined) return fd;
    return [`'${path}' leads to '${link ?? real}'`, 'name what realpath(1) says'];
  } catch (error) {
    const code = errnoOf(error);
    const why = code === 'ENOENT' ? 'there is no such directory' : describeErrno(code);
    return [`'${path}': ${why}`, 'name one that is there'];
  }
}

/** Whether the descriptor is of a mount there, and not of what hides it (proc_pid_fdinfo(5)). */
function isMount(fd: number, place: string, mounts: readonly MountLine[]): boolean {
  const text = attempt(() => readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1')) ?? '';
  const [, id] = /^mnt_id:\s*(\d+)$/m.exec(text) ?? [];
  return mounts.some(each => each.path === place && each.id === id);
}
