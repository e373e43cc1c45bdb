// What main.ts gives a command of the process that it runs in.
import type { Judge } from '../hooks/judge.ts';
import type { Signals } from '../run/signals.ts';
import type { Terminal } from '../run/terminal.ts';
import type { Screen } from '../system/tty.ts';
import type { Environment } from '../types.ts';

export interface Context {
  /** The caller's environment over the values of /etc/default/tklbam-hooks. */
  readonly env: Environment;
  /** The values of /etc/default/tklbam-hooks alone. */
  readonly defaults: Environment;
  /** The caller's environment alone. */
  readonly callerEnv: Environment;
  readonly by: Judge;
  readonly version: string;
  readonly pid: number;
  readonly parent: { readonly pid: number; readonly name: string };
  /** Writes all of it to standard output; the exit status of having done so. */
  readonly print: (text: string) => number;
  /** Writes to standard output; whether that was possible. */
  readonly write: (text: string) => boolean;
  /** Writes a line to standard error. */
  readonly tell: (line: string) => void;
  /** Writes bytes to standard error as they are. */
  readonly passOn: (data: Buffer) => void;
  /** Writes a line to standard error, in red on a terminal. */
  readonly tellError: (line: string) => void;
  /** Looks for a terminal, and catches the signals that end a run, and these. At most once. */
  readonly listen: (more?: readonly NodeJS.Signals[]) => {
    readonly signals: Signals;
    readonly terminal: Terminal;
  };
  /** Changes to /, so that no directory is kept busy. */
  readonly leaveDirectory: () => void;
  /** The size of the terminal that is standard output; 80 columns and 24 rows without one. */
  readonly screen: () => Screen;
}

/** What a command says, and the status that it ends with. */
export interface Answer {
  readonly status: number;
  readonly out: string;
  readonly err: string;
}

/** An exit status; or the signal that the process is to die of, so that a shell's loop ends too. */
export type Ending = number | NodeJS.Signals;
