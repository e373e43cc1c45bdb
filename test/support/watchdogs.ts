// The processes that hold the time limits of hooks whose runner may be killed.
import { existsSync, readdirSync, readFileSync } from 'node:fs';

interface Watchdog {
  readonly pid: number;
  readonly parent: number;
  /** Its arguments, each with a NUL behind it. */
  readonly words: string;
}

/** Without /proc none. */
export function watchdogs(): Watchdog[] {
  if (!existsSync('/proc')) return [];
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .flatMap(name => {
      try {
        const words = readFileSync(`/proc/${name}/cmdline`, 'utf8');
        const stat = readFileSync(`/proc/${name}/stat`, 'latin1');
        const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
        return words.includes('tklbam-hooks-watchdog') ? [{ pid: Number(name), parent, words }] : [];
      } catch {
        return [];
      }
    });
}

export const watchdogsOf = (runner: number | undefined): Watchdog[] =>
  watchdogs().filter(({ parent }) => parent === runner);
