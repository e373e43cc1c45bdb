// Ages and durations, for people. Pure.

const UNITS = [
  ['d', 86_400],
  ['h', 3600],
  ['min', 60],
] as const;

/** An age in the largest unit that it has at least two of. */
export function ago(ms: number): string {
  const seconds = ms / 1000;
  const [unit, size] = UNITS.find(([, each]) => seconds >= 2 * each) ?? (['s', 1] as const);
  return ms < 0 ? 'in the future' : `${Math.floor(seconds / size)} ${unit} ago`;
}

/** `0.4 s`, `59 s`, `4 min 12 s`, `2 h 5 min`. */
export function took(seconds: number): string {
  if (seconds < 10) return `${Number(seconds.toFixed(1))} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}
