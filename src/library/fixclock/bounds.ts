// Which time is believed: NTP as the tools speak it is not authenticated. Pure.

/** Days before the newest release of this program. No machine that runs it lives earlier: then its clock is wrong for certain. */
export const EARLIEST_MS = Date.UTC(2026, 10, 22);

const DAY_S = 86_400;
const YEARS = 15;
/** The last time that is believed: longer than a release of Debian is kept up. */
const LATEST_MS = EARLIEST_MS + YEARS * 365.25 * DAY_S * 1000;

/** A larger step has to be asked for: a clock that runs is not a day off, and who answers falsely would have it so. */
const LARGE_S = DAY_S;

/**
 * Why a clock that shows `clockMs` (since 1970) is not to be moved forward by `offsetS` seconds; undefined if it may be.
 * `mayStep`: the administrator has asked for whatever step it takes.
 */
export function refuseStep(clockMs: number, offsetS: number, mayStep: boolean): string | undefined {
  const targetMs = clockMs + offsetS * 1000;
  const date = formatDate(targetMs);
  if (!(targetMs >= EARLIEST_MS)) return `its time, ${date}, is before this program was made: not believed`;
  if (targetMs > LATEST_MS) return `its time, ${date}, is more than ${YEARS} years ahead: not believed`;
  if (mayStep || clockMs < EARLIEST_MS || Math.abs(offsetS) <= LARGE_S) return undefined;
  return `its time, ${date}, is ${Math.round(Math.abs(offsetS) / DAY_S)} days ${offsetS > 0 ? 'ahead of' : 'behind'} this clock: if it is right, FIXCLOCK=step takes it`;
}

function formatDate(ms: number): string {
  const date = new Date(ms);
  return Number.isNaN(date.getTime()) ? 'no date' : date.toISOString().slice(0, 10);
}

/**
 * How many seconds the clock has to go forward, as a tool that was only asked prints it: ntpdate 4.2.8, ntpdig and sntp, chronyd -Q.
 * Undefined if it does not say.
 */
export function parseOffset(output: string): number | undefined {
  const [, ...found] =
    /, offset ([-+]?\d+\.\d+)|\([-+]\d{4}\) ([-+]\d+\.\d+) \+\/-|System clock wrong by (-?\d+\.\d+) seconds/.exec(
      output,
    ) ?? [];
  const text = found.find(each => each !== undefined);
  return text === undefined ? undefined : Number(text);
}
