// Mount namespaces (mount_namespaces(7)): which one a process lives in, and what keeps us from making one.
import { spawnSync } from 'node:child_process';
import { readFileSync, readlinkSync, statSync } from 'node:fs';
import { attempt } from './errno.ts';
import { findHelper, HELPER_ENV } from './which.ts';

/** As `mnt:[INODE]`. Undefined for a process that is gone, or not ours to look into. */
export const mountNamespace = (process: number | 'self'): string | undefined =>
  attempt(() => readlinkSync(`/proc/${process}/ns/mnt`));

/** Programs of util-linux and mount, which are on every Debian but the smallest container. */
const PROGRAMS = ['unshare', 'nsenter', 'mount', 'umount', 'pivot_root', 'env', 'nice'] as const;
const PACKAGES: Readonly<Record<string, string>> = {
  mount: 'mount',
  umount: 'mount',
  env: 'coreutils',
  nice: 'coreutils',
};

/** Why no mount namespace can be made here; undefined if one can. Both of one line. */
export function namespaceObstacle(): { readonly reason: string; readonly remedy: string } | undefined {
  const missing = PROGRAMS.find(name => findHelper(name) === undefined);
  if (missing !== undefined) {
    const reason = `the program ${missing} is missing, which the view of a snapshot needs`;
    return { reason, remedy: `apt install ${PACKAGES[missing] ?? 'util-linux'}` };
  }
  if (mountNamespace('self') === undefined) {
    return {
      reason: 'there is no /proc/self/ns/mnt, which the view of a snapshot needs',
      remedy: 'mount /proc',
    };
  }
  if (!isAdministrator()) {
    const reason = 'CAP_SYS_ADMIN is missing, without which nothing can be mounted for the operation alone';
    return { reason, remedy: 'run it as root; of a container, on its host, or give it that capability' };
  }
  if (isChroot()) {
    const reason = 'this is a chroot, which who enters a mount namespace leaves';
    return { reason, remedy: 'back up from outside of it, or make it a container' };
  }
  const { status, why } = attemptTo('unshare', '--mount', '--propagation', 'slave', '/bin/true');
  if (status === 0) return undefined;
  const reason = `no mount namespace can be made: ${why}`;
  return {
    reason,
    remedy: 'see user.max_mnt_namespaces of sysctl(8), and what the container or unit allows',
  };
}

/** Whether setns(2), which leads to the root directory of a namespace, would lead elsewhere than to ours. */
function isChroot(): boolean {
  const { dev, ino } = statSync('/');
  const { status, stdout } = attemptTo('nsenter', '--mount=/proc/self/ns/mnt', 'stat', '--format=%d %i', '/');
  return status === 0 && stdout.trim() !== `${dev} ${ino}`;
}

function attemptTo(
  program: 'unshare' | 'nsenter',
  ...words: readonly string[]
): { readonly status: number | null; readonly stdout: string; readonly why: string } {
  const { status, stdout, stderr, error } = spawnSync(findHelper(program) ?? '', words, {
    cwd: '/',
    env: HELPER_ENV,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const why = (stderr ?? '').trim().split('\n').at(-1) || error?.message || `status ${status}`;
  return { status, stdout: stdout ?? '', why };
}

/** A user namespace other than the first, as in an unprivileged container: no disk can be mounted there (user_namespaces(7)). */
export function isUserNamespace(): boolean {
  const map = attempt(() => readFileSync('/proc/self/uid_map', 'latin1'));
  return map !== undefined && !/^\s*0\s+0\s+4294967295\s*$/.test(map);
}

/** CAP_SYS_ADMIN of capabilities(7). */
const SYS_ADMIN = 21n;

function isAdministrator(): boolean {
  const status = attempt(() => readFileSync('/proc/self/status', 'latin1')) ?? '';
  const [, effective] = /^CapEff:\s*([0-9a-f]+)$/m.exec(status) ?? [];
  // Where that is not told, unshare(1) says.
  return effective === undefined || ((BigInt(`0x${effective}`) >> SYS_ADMIN) & 1n) === 1n;
}
