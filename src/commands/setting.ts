// How hooks are started and spared, by what is known of the terminal.
import type { Setting } from '../run/execute.ts';
import type { Terminal } from '../run/terminal.ts';
import type { State } from '../types.ts';

/** The setting of hooks that have our own standard streams. */
export const hookSetting = (
  terminal: Terminal,
  ignoredSignals: readonly NodeJS.Signals[] = ignoredHangup(terminal),
): Setting => ({ terminal, streams: 'inherited', ignoredSignals, diesWithUs: false, view: undefined });

/** SIGHUP where there is a terminal and no standard stream is on it: as under nohup(1), which ignores it. */
export const ignoredHangup = ({ isThere, countsHangup }: Terminal): readonly NodeJS.Signals[] =>
  isThere && !countsHangup ? ['SIGHUP'] : [];

/**
 * Whether a hang-up is passed over. A terminal that goes away ends the operation, but not the hooks of `post` and `error`, which start
 * again what was stopped.
 */
export const isSparedHangup = (signal: NodeJS.Signals, state: State, terminal: Terminal): boolean =>
  signal === 'SIGHUP' &&
  (!terminal.countsHangup || (terminal.isThere && (state === 'post' || state === 'error')));
