// What of a machine can be frozen: the mounted volume behind a path, and why it cannot be snapshotted. Pure.
import type { Problem } from '../hook.ts';

/** A mounted file system, as findmnt(8) has it. */
export interface Mount {
  readonly target: string;
  /** The device. */
  readonly source: string;
  /** `MAJOR:MINOR`; of no device with btrfs. */
  readonly device: string;
  readonly fstype: string;
  readonly options: string;
  /** What of the file system is mounted: `/`, a subvolume, or the directory of a bind mount. */
  readonly root: string;
}

/** A logical volume, as lvs(8) has it. Sizes in bytes. */
export interface LogicalVolume {
  readonly vg: string;
  readonly name: string;
  readonly tags: readonly string[];
  readonly origin: string;
  readonly pool: string;
  /** `MAJOR:MINOR`. */
  readonly device: string;
  readonly size: number;
  readonly extentSize: number;
  /** Free bytes of its volume group. */
  readonly free: number;
  /** How full it is: the copy-on-write store of a snapshot, or a pool. NaN for others. */
  readonly dataPercent: number;
  readonly metadataPercent: number;
  /** A snapshot that was too small for what changed meanwhile: reading it gives EIO. */
  readonly isInvalid: boolean;
  /** A snapshot whose origin is being put back to it. */
  readonly isMerging: boolean;
  /** Whoever reads or writes waits, until it is resumed: also for ever, after a kill in lvcreate(8) or lvremove(8). */
  readonly isSuspended: boolean;
}

export type Volume =
  | { readonly kind: 'lvm'; readonly mount: Mount; readonly lv: LogicalVolume }
  /** `path`: the root of the subvolume. */
  | { readonly kind: 'btrfs'; readonly mount: Mount; readonly path: string };

/** What there is to undo. Names are of our own making, noted before the act, so that nobody else's can be meant. */
export type Snapshot =
  | {
      readonly kind: 'lvm';
      readonly vg: string;
      readonly name: string;
      readonly origin: string;
      readonly isThin: boolean;
      readonly mount: Mount;
    }
  | { readonly kind: 'btrfs'; readonly path: string; readonly origin: string; readonly mount: Mount };

export const LVM_FIELDS = [
  ...['vg_name', 'lv_name', 'lv_tags', 'origin', 'pool_lv', 'lv_kernel_major', 'lv_kernel_minor', 'lv_size'],
  ...['vg_extent_size', 'vg_free', 'data_percent', 'metadata_percent', 'lv_snapshot_invalid', 'lv_attr'],
  'lv_suspended',
].join(',');

/** From `lvs --reportformat json --units b --nosuffix`. */
export function parseLvs(text: string): LogicalVolume[] {
  return rows(text, 'report', 'lv').map(row => ({
    vg: row('vg_name'),
    name: row('lv_name').replace(/^\[(.*)\]$/, '$1'),
    tags: row('lv_tags').split(',').filter(Boolean),
    origin: row('origin'),
    pool: row('pool_lv'),
    device: `${row('lv_kernel_major')}:${row('lv_kernel_minor')}`,
    size: Number(row('lv_size')),
    extentSize: Number(row('vg_extent_size')),
    free: Number(row('vg_free')),
    dataPercent: Number.parseFloat(row('data_percent')),
    metadataPercent: Number.parseFloat(row('metadata_percent')),
    // lvs(8): the fifth of lv_attr is I for an invalid snapshot, S for one that failed to merge.
    // That of a thin one is `unknown`.
    isInvalid:
      /^(?:snapshot invalid|1)$/.test(row('lv_snapshot_invalid')) || /^....[IS]/.test(row('lv_attr')),
    // The first is S for a snapshot that merges.
    isMerging: row('lv_attr').startsWith('S'),
    isSuspended: /^(?:suspended|1)$/.test(row('lv_suspended')),
  }));
}

/** From `findmnt --json --nofsroot`. */
export function parseMounts(text: string): Mount[] {
  return rows(text, 'filesystems').map(row => ({
    target: row('target'),
    source: row('source'),
    device: row('maj:min'),
    fstype: row('fstype'),
    options: row('options'),
    root: row('fsroot'),
  }));
}

/** The arrays of objects of strings under a key, or a key in each of the objects of an array; each as a lookup. */
function rows(text: string, key: string, inner?: string): ((name: string) => string)[] {
  const outer: unknown = JSON.parse(text);
  const list = (value: unknown, name: string): unknown[] => {
    const found: unknown = typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
    return Array.isArray(found) ? found : [];
  };
  const found = inner === undefined ? list(outer, key) : list(outer, key).flatMap(each => list(each, inner));
  return found.map(row => name => {
    const value: unknown = typeof row === 'object' && row !== null ? Reflect.get(row, name) : undefined;
    return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
  });
}

/** How full a pool may be, in per cent. Beyond, writes to the live volume itself could fail. */
const FULL = 90;

const INSTEAD = "leave it to the hook 'services', which stops what writes there for the whole backup";

/** The volume of a mount, or why it is none that can be snapshotted. `subvolume`: with btrfs, the root of the one that a path is in. */
export function volumeOf(
  path: string,
  mount: Mount,
  lvs: readonly LogicalVolume[],
  subvolume: string | undefined,
): Volume | Problem {
  if (mount.fstype === 'btrfs') {
    return subvolume === undefined
      ? { reason: `${path}: no subvolume is to be found there`, remedy: INSTEAD }
      : { kind: 'btrfs', mount, path: subvolume };
  }
  if (mount.root !== '/') {
    const reason = `${path} is on ${mount.target}, which is a part of a file system (${mount.root})`;
    return { reason, remedy: 'name the place where all of it is mounted' };
  }
  const lv = lvs.find(({ device }) => device === mount.device);
  if (lv === undefined) {
    const reason = `${path} is on ${mount.fstype} of ${mount.source}, and neither LVM nor btrfs`;
    return { reason, remedy: INSTEAD };
  }
  return { kind: 'lvm', mount, lv };
}

/** Why there is no room for snapshots of these. */
export function lackOfRoom(
  volumes: readonly Volume[],
  lvs: readonly LogicalVolume[],
  size: string,
): readonly Problem[] {
  const ours = volumes.flatMap(volume => (volume.kind === 'lvm' ? [volume.lv] : []));
  const pools = ours
    .filter(({ pool }) => pool !== '')
    .flatMap(({ vg, pool }) => lvs.filter(lv => lv.vg === vg && lv.name === pool));
  const full = [...new Set(pools)].flatMap(({ vg, name, dataPercent, metadataPercent }): Problem[] => {
    const most = Math.max(dataPercent || 0, metadataPercent || 0);
    const reason = `the thin pool ${vg}/${name} is full to ${most} %, and a snapshot would fill it further`;
    return most < FULL ? [] : [{ reason, remedy: `lvextend ${vg}/${name}, or remove what is in it` }];
  });
  const thick = ours.filter(({ pool }) => pool === '');
  const small = [...new Set(thick.map(({ vg }) => vg))].flatMap((vg): Problem[] => {
    const members = thick.filter(lv => lv.vg === vg);
    const free = members[0]?.free ?? 0;
    const needed = members.reduce((sum, lv) => sum + storeSize(lv, size), 0);
    const mib = (bytes: number): number => Math.ceil(bytes / 2 ** 20);
    const reason = `the volume group ${vg} has ${mib(free)} MiB free, and SIZE=${size} needs ${mib(needed)}`;
    return needed <= free ? [] : [{ reason, remedy: `vgextend ${vg}, or set a smaller SIZE` }];
  });
  return [...full, ...small];
}

/** As lvcreate(8) takes sizes. */
const SIZE = /^(\d{1,3})%(ORIGIN|FREE|VG)$|^(\d{1,6}(?:\.\d{1,3})?)([mMgGtT])$/;

export const sizeRule = (value: string): string | undefined =>
  SIZE.test(value) ? undefined : `is '${value}', and has to be as 20%ORIGIN, 10%FREE, 500M or 5G`;

/** The bytes that a thick snapshot takes from the volume group: whole extents, at least one. */
function storeSize({ size: origin, free, extentSize }: LogicalVolume, size: string): number {
  const [, percent, of, count, unit = ''] = SIZE.exec(size) ?? [];
  const powers: Readonly<Record<string, number>> = { m: 20, g: 30, t: 40 };
  const bytes =
    count === undefined
      ? // That of the group is not asked for here: what is free counts, and is the most it can be.
        ((of === 'ORIGIN' ? origin : free) * Number(percent)) / 100
      : Number(count) * 2 ** (powers[unit.toLowerCase()] ?? 0);
  return Math.max(1, Math.ceil(bytes / extentSize)) * extentSize;
}

/** What the view mounts of a snapshot: never written to, though the device can be, for the journal of ext4. */
export const mountOptions = (fstype: string): string => (fstype === 'xfs' ? 'ro,nouuid' : 'ro');

/** The snapshots that no longer hold what they held, so that what was read of them may be wrong. */
export const overflowed = (
  snapshots: readonly Snapshot[],
  lvs: readonly LogicalVolume[],
): readonly Snapshot[] =>
  snapshots.filter(
    snapshot =>
      snapshot.kind === 'lvm' &&
      lvs.some(({ vg, name, isInvalid }) => vg === snapshot.vg && name === snapshot.name && isInvalid),
  );

/** Origins that nobody could resume. */
export const stuckOrigins = (
  snapshots: readonly Snapshot[],
  lvs: readonly LogicalVolume[],
): readonly LogicalVolume[] =>
  lvs.filter(
    ({ vg, name, isSuspended }) =>
      isSuspended &&
      snapshots.some(snapshot => snapshot.kind === 'lvm' && snapshot.vg === vg && snapshot.origin === name),
  );

/** Names of the devices that are suspended with an origin when snapshots of it come and go, those below first; not all need be there. */
export function devicesAround(
  { vg, name, pool }: LogicalVolume,
  snapshots: readonly Snapshot[],
): readonly string[] {
  const ours = snapshots.flatMap(each =>
    each.kind === 'lvm' && each.vg === vg && each.origin === name ? [each.name] : [],
  );
  // As lvm(8) escapes them.
  const device = (volume: string, layer = ''): string =>
    `${vg.replaceAll('-', '--')}-${volume.replaceAll('-', '--')}${layer}`;
  return [
    ...(pool === '' ? [] : [device(pool, '-tpool')]),
    device(name, '-real'),
    ...ours.map(each => device(each, '-cow')),
    device(name),
    ...ours.map(each => device(each)),
  ];
}

/** Of our own making, and by name: those that are noted and have our tag too. Whatever state a kill in lvcreate(8) left them in. */
export const removable = (
  snapshots: readonly Snapshot[],
  lvs: readonly LogicalVolume[],
): readonly LogicalVolume[] =>
  lvs.filter(
    ({ vg, name, tags }) =>
      tags.includes(TAG) &&
      snapshots.some(snapshot => snapshot.kind === 'lvm' && snapshot.vg === vg && snapshot.name === name),
  );

export const TAG = 'tklbam-hooks';

/** A word of fstab(5), in which blanks are \040 and so on. */
export const escapeWord = (text: string): string =>
  text.replace(/[\s\\]/g, character => `\\${character.charCodeAt(0).toString(8).padStart(3, '0')}`);
