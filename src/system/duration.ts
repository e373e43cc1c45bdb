// Time limits, as the command line, the environment and hooks write them. Pure.
import type { Environment } from '../types.ts';

const UNITS = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** What a timer of Node.js can hold is 2³¹-1 ms, some 596 hours; a longer one would go off at once. */
const LONGEST_MS = 500 * UNITS.h;

/**
 * Milliseconds from `90s`, `5m`, `6h`, `1d`, several of these from the largest on (`1h30m`), or seconds alone as sleep(1) takes them.
 * Undefined if it is none, or above 500 hours.
 */
export function parseDuration(text: string): number | undefined {
  const match = /^(?=\d)(?:(\d{1,9})d)?(?:(\d{1,9})h)?(?:(\d{1,9})m)?(?:(\d{1,9})s)?$|^(\d{1,9})$/.exec(text);
  if (match === null) return undefined;
  const [days, hours, minutes, seconds, alone] = match.slice(1).map(count => Number(count ?? 0));
  const units = [
    [days, UNITS.d],
    [hours, UNITS.h],
    [minutes, UNITS.m],
    [seconds, UNITS.s],
    [alone, UNITS.s],
  ] as const;
  const ms = units.reduce((sum, [count = 0, unit]) => sum + count * unit, 0);
  return ms <= LONGEST_MS ? ms : undefined;
}

/** From SIGTERM to SIGKILL, for a hook and what it started. Undefined if the variable holds no duration. */
export const gracePeriod = (env: Environment): number | undefined =>
  parseDuration(env.TKLBAM_HOOKS_GRACE || `${DEFAULT_GRACE_MS / UNITS.s}s`);

export const DEFAULT_GRACE_MS = 10_000;

/** A duration in the largest unit that it is a whole number of. */
export function formatDuration(ms: number): string {
  if (ms > 0 && ms % UNITS.h === 0) return `${ms / UNITS.h}h`;
  if (ms > 0 && ms % UNITS.m === 0) return `${ms / UNITS.m}m`;
  return `${ms / UNITS.s}s`;
}
