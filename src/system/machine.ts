// What tells this machine, and this boot of it, from all others; and seconds that no hook can set.
import { readFileSync } from 'node:fs';
import { attempt } from './errno.ts';

let boot: string | null | undefined;

/** The id of this boot (proc_sys_kernel(5)); null without /proc. */
export function bootId(): string | null {
  boot ??= line('/proc/sys/kernel/random/boot_id');
  return boot;
}

/** The id of machine-id(5); null where there is none, as in a minimal chroot. */
export const machineId = (): string | null => line('/etc/machine-id') || null;

/** Seconds since boot, suspended ones too (proc_uptime(5)); null without /proc. */
export function uptime(): number | null {
  const text = line('/proc/uptime');
  return text === null ? null : Number.parseFloat(text);
}

/** Milliseconds of this process, which no clock that is set changes. `performance` would load what it takes a millisecond to load. */
export const elapsedMs = (): number => process.uptime() * 1000;

const line = (path: string): string | null =>
  attempt(() => readFileSync(path, 'latin1').split('\n', 1)[0]) ?? null;
