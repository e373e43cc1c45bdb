// What tells this machine, and this boot of it, from all others; and seconds that no hook can set.
import { readFileSync } from 'node:fs';
import { attempt } from './errno.ts';

/** The id of this boot (proc_sys_kernel(5)); null without /proc. */
export const bootId = (): string | null => line('/proc/sys/kernel/random/boot_id');

/** The id of machine-id(5); null where there is none, as in a minimal chroot. */
export const machineId = (): string | null => line('/etc/machine-id') || null;

/** Seconds since boot, suspended ones too (proc_uptime(5)); null without /proc. */
export function uptime(): number | null {
  const text = line('/proc/uptime');
  return text === null ? null : Number.parseFloat(text);
}

const line = (path: string): string | null =>
  attempt(() => readFileSync(path, 'latin1').split('\n', 1)[0]) ?? null;
