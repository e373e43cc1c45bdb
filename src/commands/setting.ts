// How hooks are started and spared, by what is known of the terminal.
import type { Setting } from '../run/execute.ts';
import type { Terminal } from '../run/terminal.ts';
import type { State } from '../types.ts';

/** Of hooks that have our own standard streams. */
export const hookSetting = (
  terminal: Terminal,
  ignoredSignals: readonly NodeJS.Signals[] = ignoredHangup(terminal),
): Setting => ({ terminal, streams: 'inherited', ignoredSignals, diesWithUs: false });

/** A terminal that is there and that no standard stream is on: as under nohup(1), which ignores its hang-up. */
export const ignoredHangup = ({ isThere, countsHangup }: Terminal): readonly NodeJS.Signals[] =>
  isThere && !countsHangup ? ['SIGHUP'] : [];

/**
 * Whether a hang-up changes nothing. The terminal went away: before the operation that ends it; after it, what was stopped has to start
 * again.
 */
export const isSparedHangup = (signal: NodeJS.Signals, state: State, terminal: Terminal): boolean =>
  signal === 'SIGHUP' &&
  (!terminal.countsHangup || (terminal.isThere && (state === 'post' || state === 'error')));
