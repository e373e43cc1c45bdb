// File systems that a user mounted: owners and modes there are that user's word, and reading one may never end.
import { readFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { attempt } from './errno.ts';

/**
 * Mount points (bytes, a character each) of users other than root and ourselves, with who it was, as `user 1000` or `user ann`. FUSE tells
 * (fuse(4): `user_id=`), and mount(8) writes down whom it or a helper such as udisks mounted for (`user=`, `uhelper=` of fstab(5)).
 */
export function userMounts(): ReadonlyMap<string, string> {
  const read = (path: string): string => attempt(() => readFileSync(path, 'latin1')) ?? '';
  const own = process.geteuid?.() ?? 0;
  const mounted = mountsOf(read('/proc/self/mountinfo'), read('/run/mount/utab'));
  const trusted = new Set(['user 0', 'user root', `user ${own}`]);
  const isOwn = (by: string): boolean =>
    trusted.has(by) || (own !== 0 && by === `user ${attempt(() => userInfo().username)}`);
  return new Map([...mounted].filter(([, by]) => !isOwn(by)));
}

/** Users' mounts, from the texts of /proc/self/mountinfo (proc_pid_mountinfo(5)) and /run/mount/utab of libmount. Pure. */
export function mountsOf(mountinfo: string, utab: string): Map<string, string> {
  const mounts = new Map<string, string>();
  // As a rule there is none.
  const lines = mountinfo.includes('user_id=') ? mountLines(mountinfo) : [];
  for (const { path, type, options } of lines) {
    const user = type.startsWith('fuse') ? /(?:^|,)user_id=(\d+)/.exec(options)?.[1] : undefined;
    // A later mount at the same point hides this one.
    if (user === undefined) mounts.delete(path);
    else mounts.set(path, `user ${user}`);
  }
  for (const line of utab.split('\n')) {
    const point = /(?:^| )TARGET=(\S+)/.exec(line)?.[1];
    const [, key, name] = /(?:[ =,])(user|uhelper)=([^, ]+)/.exec(line) ?? [];
    if (point !== undefined && name !== undefined) {
      mounts.set(decodeOctal(point), key === 'user' ? `user ${name}` : `a user, by ${name}`);
    }
  }
  return mounts;
}

/** A line of proc_pid_mountinfo(5). */
export interface MountLine {
  readonly id: string;
  /** `MAJOR:MINOR`. */
  readonly device: string;
  /** What of the file system is mounted. */
  readonly root: string;
  /** Where, as the process sees it. */
  readonly path: string;
  readonly type: string;
  /** Of the file system, not of the mount. */
  readonly options: string;
}

/** Of /proc/PID/mountinfo, in the order of the mounts. None if the process is gone, or is not ours to look into. */
export const mountsSeenBy = (process: number | 'self', type?: string): readonly MountLine[] =>
  mountLines(attempt(() => readFileSync(`/proc/${process}/mountinfo`, 'utf8')) ?? '', type);

/** Those of one type of file system, or all. */
export const mountLines = (mountinfo: string, wanted?: string): MountLine[] =>
  mountinfo.split('\n').flatMap(line => {
    // A machine of containers has thousands of lines, and most need not be taken apart.
    if (wanted !== undefined && !line.includes(wanted)) return [];
    const fields = line.split(' ');
    const [id, , device, root, path] = fields;
    if (id === undefined || device === undefined || root === undefined || path === undefined) return [];
    // A dash ends the optional fields.
    const [type = '', , options = ''] = fields.slice(fields.indexOf('-', 6) + 1);
    if (wanted !== undefined && type !== wanted) return [];
    return [{ id, device, root: decodeOctal(root), path: decodeOctal(path), type, options }];
  });

/** Decodes a path of /proc/PID/mountinfo: blanks, line breaks and backslashes stand in octal (proc_pid_mountinfo(5)). */
export const decodeOctal = (text: string): string =>
  text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
