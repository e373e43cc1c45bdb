// Snapshots made, taken away and put back, by the programs of LVM and btrfs.
import { existsSync, realpathSync, renameSync, rmdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { attempt } from '../../system/errno.ts';
import type { Problem } from '../hook.ts';
import { makePrivate, RUN_DIRECTORY } from '../state.ts';
import { hasTool, pause, runTool } from '../tool.ts';
import {
  devicesAround,
  type LogicalVolume,
  LVM_FIELDS,
  type Mount,
  parseLvs,
  parseMounts,
  removable,
  type Snapshot,
  stuckOrigins,
  TAG,
  type Volume,
  volumeOf,
} from './volume.ts';

/** The inode of the root of every subvolume (btrfs-subvolume(8)). */
const SUBVOLUME_INODE = 256;

/** All logical volumes; none where there is no LVM. Throws if lvs(8) fails. */
export function logicalVolumes(): LogicalVolume[] {
  if (!hasTool('lvs')) return [];
  const { status, stdout, reason } = runTool(
    'lvs',
    ...['--all', '--reportformat', 'json', '--units', 'b', '--nosuffix', '--options', LVM_FIELDS],
  );
  if (status !== 0) throw new Error(`lvs: ${reason}`);
  return parseLvs(stdout);
}

/** The volume that a path is in, or why it cannot be snapshotted. */
export function findVolume(path: string, lvs: readonly LogicalVolume[]): Volume | Problem {
  const real = attempt(() => realpathSync(path));
  const mount = real === undefined ? undefined : mountOf(['--target', real]);
  if (real === undefined || mount === undefined)
    return { reason: `${path}: there is no such directory`, remedy: 'mount it' };
  if (mount.fstype === 'btrfs' && !hasTool('btrfs')) {
    return {
      reason: `${path} is on btrfs, and there is no program btrfs`,
      remedy: 'apt install btrfs-progs',
    };
  }
  return volumeOf(path, mount, lvs, mount.fstype === 'btrfs' ? subvolumeOf(real, mount.target) : undefined);
}

function mountOf(which: readonly string[]): Mount | undefined {
  const fields = 'TARGET,SOURCE,MAJ:MIN,FSTYPE,OPTIONS,FSROOT';
  const { status, stdout } = runTool('findmnt', '--json', '--nofsroot', '--output', fields, ...which);
  // The last is the one on top.
  return status === 0 ? parseMounts(stdout).at(-1) : undefined;
}

function subvolumeOf(path: string, mountPoint: string): string | undefined {
  for (let here = path; ; here = dirname(here)) {
    if (attempt(() => statSync(here).ino) === SUBVOLUME_INODE) return here;
    if (here === mountPoint || here === '/') return undefined;
  }
}

/** What a snapshot of the volume is to be called; nothing is made. `id` makes the name one that nobody else has. */
export function planSnapshot(volume: Volume, id: string): Snapshot {
  if (volume.kind === 'btrfs') {
    return {
      kind: 'btrfs',
      path: join(volume.path, `.${TAG}-${id}`),
      origin: volume.path,
      mount: volume.mount,
    };
  }
  const { vg, name: origin, pool } = volume.lv;
  return { kind: 'lvm', vg, name: `${TAG}-${id}`, origin, isThin: pool !== '', mount: volume.mount };
}

/** Makes it. Why it could not, in a line; undefined if it is there. `size` is for a thick one. */
export function makeSnapshot(snapshot: Snapshot, size: string): string | undefined {
  if (snapshot.kind === 'btrfs') {
    return failure('btrfs', 'subvolume', 'snapshot', '-r', '--', snapshot.origin, snapshot.path);
  }
  const { vg, name, origin, isThin } = snapshot;
  // A size would make a thick snapshot of a thin volume. Writable, since a journal may have to be replayed.
  const kind = isThin
    ? ['--setactivationskip', 'n']
    : size.includes('%')
      ? ['--extents', size]
      : ['--size', size];
  const why = failure(
    'lvcreate',
    ...['--quiet', '--yes', '--snapshot', '--addtag', TAG, '--permission', 'rw', '--name', name],
    ...[...kind, `${vg}/${origin}`],
  );
  if (why !== undefined) resumeOrigins([snapshot]);
  return why;
}

/**
 * Lets go what LVM was killed over, between the suspension of an origin and its resumption: nobody else would, and whoever writes there
 * waits for ever. What could not be, a line each.
 */
export function resumeOrigins(snapshots: readonly Snapshot[]): readonly string[] {
  if (!snapshots.some(({ kind }) => kind === 'lvm')) return [];
  return stuckOrigins(snapshots, logicalVolumes()).flatMap(lv => {
    // As they are; lvchange(8) does not get by those below, and then sees to it that they are as LVM has noted them.
    for (const device of devicesAround(lv, snapshots)) runTool('dmsetup', 'resume', device);
    const why = failure('lvchange', '--quiet', '--refresh', `${lv.vg}/${lv.name}`);
    return why === undefined
      ? []
      : [`of ${lv.vg}/${lv.name}, which is suspended and cannot be resumed: ${why}`];
  });
}

/** What the view is to mount for it: file system, device and options. */
export function viewSource(snapshot: Snapshot): { readonly source: string; readonly options: string } {
  if (snapshot.kind === 'lvm') return { source: `/dev/${snapshot.vg}/${snapshot.name}`, options: '' };
  const { status, stdout, reason } = runTool('btrfs', 'inspect-internal', 'rootid', snapshot.path);
  if (status !== 0) throw new Error(`btrfs inspect-internal rootid: ${reason}`);
  return { source: snapshot.mount.source, options: `subvolid=${stdout.trim()}` };
}

/** Takes away what is there of them. What could not be, a line each. */
export function removeSnapshots(snapshots: readonly Snapshot[]): readonly string[] {
  const btrfs = snapshots.flatMap(snapshot => {
    if (snapshot.kind !== 'btrfs' || !existsSync(snapshot.path)) return [];
    if (statSync(snapshot.path).ino !== SUBVOLUME_INODE) return [];
    const why = failure('btrfs', 'subvolume', 'delete', '--commit-after', '--', snapshot.path);
    return why === undefined ? [] : [`${snapshot.path}: ${why}`];
  });
  return [...removeVolumes(snapshots), ...btrfs];
}

function removeVolumes(snapshots: readonly Snapshot[]): readonly string[] {
  if (!snapshots.some(({ kind }) => kind === 'lvm')) return [];
  const failures = removable(snapshots, logicalVolumes()).flatMap(({ vg, name }) => {
    const why = insist(() => failure('lvremove', '--quiet', '--yes', `${vg}/${name}`));
    return why === undefined ? [] : [`${vg}/${name}: ${why}`];
  });
  return [...failures, ...resumeOrigins(snapshots)];
}

/** Why a volume could not be put back to what it was, should it come to that. */
export function cannotRollBack(volume: Volume): Problem | undefined {
  const { target, root } = volume.mount;
  const remedy = 'leave it out, or set ROLLBACK=no';
  if (target === '/') return { reason: `${target} cannot be put back while the system runs from it`, remedy };
  if (volume.kind === 'lvm') return undefined;
  if (volume.path !== target || root === '/') {
    return { reason: `${volume.path} is no subvolume that is mounted by itself`, remedy };
  }
  const { status, stdout } = runTool('btrfs', 'subvolume', 'list', '-o', volume.path);
  if (status !== 0 || stdout.trim() === '') return undefined;
  return { reason: `${volume.path} has subvolumes of its own, which would be lost`, remedy };
}

/** Puts a volume back to its snapshot, which is gone then. Again does no harm, and finishes what was cut off. Why not, in a line. */
export function rollBack(snapshot: Snapshot): string | undefined {
  const { mount } = snapshot;
  // Also one that was killed in the middle: then it is unmounted, or has the new content already.
  if (isMounted(mount)) {
    const why = insist(() => failure('umount', mount.target));
    if (why !== undefined) return `${mount.target} cannot be unmounted: ${why}`;
  }
  const why = snapshot.kind === 'lvm' ? merge(snapshot) : exchange(snapshot);
  // The id is that of the old subvolume; the new one has its name.
  const options = mount.options.split(',').filter(option => !option.startsWith('subvolid='));
  const again = failure('mount', '-t', mount.fstype, '-o', options.join(','), mount.source, mount.target);
  return why ?? again;
}

const isMounted = ({ target }: Mount): boolean => mountOf(['--mountpoint', target]) !== undefined;

function merge({ vg, name, origin }: Extract<Snapshot, { kind: 'lvm' }>): string | undefined {
  const find = (): LogicalVolume | undefined => logicalVolumes().find(lv => lv.vg === vg && lv.name === name);
  const volume = `${vg}/${origin}`;
  const snapshot = find();
  if (snapshot !== undefined && !snapshot.isMerging) {
    // Of one in use, lvconvert(8) would put it off to the next boot and say that all is well. Nobody can use one that is not active.
    const inUse = insist(() => failure('lvchange', '--quiet', '--activate', 'n', volume));
    if (inUse !== undefined)
      return `${volume} is still in use, as by a service with mounts of its own: ${inUse}`;
    const why = failure('lvconvert', '--quiet', '--yes', '--merge', `${vg}/${name}`);
    if (why !== undefined) return failure('lvchange', '--quiet', '--activate', 'y', volume) ?? why;
  }
  const why = failure('lvchange', '--quiet', '--activate', 'y', volume);
  // A thin one is back by now. Of a thick one that was cut off, nobody waits for the end any more, and finishes it.
  const isThere = find() !== undefined;
  const unseen = isThere ? failure('lvchange', '--quiet', '--poll', 'y', volume) : undefined;
  for (let left = find(); left !== undefined && unseen === undefined; left = find()) {
    if (left.isInvalid) return `${vg}/${name} could not be merged, it was too small for what was restored`;
    pause(500);
  }
  return why ?? unseen;
}

/** The subvolume by its name, from a mount of the whole file system where nobody else can go. */
function exchange({ path, mount }: Extract<Snapshot, { kind: 'btrfs' }>): string | undefined {
  const whole = `${RUN_DIRECTORY}/whole`;
  // Left mounted by one that was cut off, which is told again.
  failure('umount', whole);
  for (const each of [RUN_DIRECTORY, whole]) makePrivate(each);
  try {
    const why = failure('mount', '-t', 'btrfs', '-o', 'subvolid=5', mount.source, whole);
    if (why !== undefined) return why;
    const live = join(whole, mount.root);
    const frozen = join(live, path.slice(mount.target.length));
    const fresh = `${live}.${TAG}-new`;
    const old = `${live}.${TAG}-old`;
    // In an order that a kill may cut anywhere: the old subvolume stays until the new one has its name.
    if (!existsSync(old) && existsSync(frozen)) {
      if (existsSync(fresh)) failure('btrfs', 'subvolume', 'delete', '--', fresh);
      const failed = failure('btrfs', 'subvolume', 'snapshot', '--', frozen, fresh);
      if (failed !== undefined) return failed;
      renameSync(live, old);
    }
    if (!existsSync(live)) renameSync(fresh, live);
    if (!existsSync(old)) return undefined;
    const inside = join(old, path.slice(mount.target.length));
    if (existsSync(inside)) failure('btrfs', 'subvolume', 'delete', '--', inside);
    return failure('btrfs', 'subvolume', 'delete', '--commit-after', '--', old);
  } finally {
    failure('umount', whole);
    attempt(() => rmdirSync(whole));
  }
}

/** Why a program failed, in a line. */
function failure(name: string, ...args: readonly string[]): string | undefined {
  const { status, reason } = runTool(name, ...args);
  return status === 0 ? undefined : reason;
}

/** Tries again for a moment: udev may still hold a device that has just been used. */
function insist(act: () => string | undefined): string | undefined {
  for (let left = 10; ; left--) {
    const why = act();
    if (why === undefined || left === 0) return why;
    pause(300);
  }
}
