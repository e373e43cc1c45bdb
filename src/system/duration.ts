// Time limits, as the command line, the environment and hooks write them. Pure.
import type { Environment } from '../types.ts';

const UNITS = { s: 1000, m: 60_000, h: 3_600_000 } as const;

/** What a timer of Node.js can hold is 2³¹-1 ms, some 596 hours; a longer one would go off at once. */
const LONGEST_MS = 500 * UNITS.h;

/** Milliseconds from `90s`, `5m`, `6h`, or seconds alone as sleep(1) takes them. Undefined if it is none, or above 500 hours. */
export function parseDuration(text: string): number | undefined {
  const [, count, unit] = /^(\d{1,9})([smh]?)$/.exec(text) ?? [];
  if (count === undefined) return undefined;
  const ms = Number(count) * (unit === 'm' ? UNITS.m : unit === 'h' ? UNITS.h : UNITS.s);
  return ms <= LONGEST_MS ? ms : undefined;
}

/** From SIGTERM to SIGKILL, for a hook and what it started. Undefined if the variable holds no duration. */
export const gracePeriod = (env: Environment): number | undefined =>
  parseDuration(env.TKLBAM_HOOKS_GRACE || `${DEFAULT_GRACE_MS / UNITS.s}s`);

export const DEFAULT_GRACE_MS = 10_000;

/** In the largest unit that it is a whole number of. */
export function formatDuration(ms: number): string {
  if (ms > 0 && ms % UNITS.h === 0) return `${ms / UNITS.h}h`;
  if (ms > 0 && ms % UNITS.m === 0) return `${ms / UNITS.m}m`;
  return `${ms / UNITS.s}s`;
}
