// What stops and starts services on this machine. No code.
import type { Problem } from '../hook.ts';

export interface Manager {
  /** What there is to stop for these services. Changes nothing. */
  readonly survey: (names: readonly string[]) => Survey;
  readonly isUp: (name: string) => boolean;
  /** Keeps units from being started by anybody until `release`. Throws if it cannot. */
  readonly hold: (instance: string, units: readonly string[]) => void;
  /** Lets units of that hold be started. `forget` then takes away the rest of it. No harm without a hold. */
  readonly release: (instance: string) => void;
  readonly forget: (instance: string, units: readonly string[]) => void;
  /** Resolves when all are down; what is wrong with that, a line each, otherwise. */
  readonly stop: (units: readonly string[]) => readonly string[];
  /** Starts them, and looks again a moment later. Those that do not run then, with what is known of why. */
  readonly start: (units: readonly string[]) => readonly NotStarted[];
}

export interface Survey {
  /** Why it cannot be done as it is asked; then nothing must be stopped. */
  readonly problems: readonly Problem[];
  /** All that has to be down, in the order to stop it. */
  readonly stop: readonly string[];
  /** Those of them that run now, and are to run again. */
  readonly running: readonly string[];
  /** Those that can be held. */
  readonly hold: readonly string[];
}

export interface NotStarted {
  readonly unit: string;
  /** Absent if nothing can be done about it any more: nobody wants it started. */
  readonly isOwed: boolean;
  readonly reason: string;
  /** The last lines that it wrote. */
  readonly journal: readonly string[];
}
