// What a ready hook is, and what it gets. No code.
import type { HookEvent, StatePaths } from '../types.ts';

/** What a setting's value lacks, a line that follows upon the name; undefined if nothing. */
export type Rule = (value: string) => string | undefined;

/** Names and values of a settings file, each of which its rule allows. A setting that is empty is not there. */
export type Values = Readonly<Record<string, string>>;

/** What keeps a hook from its work. Both of one line. */
export interface Problem {
  readonly reason: string;
  readonly remedy: string;
}

/** What a ready hook gets besides the event. */
export interface Context {
  /** File name of the hook. Two copies of one kind differ by it, and keep their state by it. */
  readonly instance: string;
  readonly values: Values;
  /** Change nothing, and say what would be done. */
  readonly isSimulated: boolean;
  readonly statePaths: StatePaths;
  /** $TKLBAM_HOOK_VIEW: where a hook of `pre` says what the operation is to see in place of the live files. Absent if nobody asks. */
  readonly view: string | undefined;
  /** Writes a line to standard error, behind the name of the hook. */
  readonly tell: (line: string) => void;
}

/** A kind of ready hook, whose work is done here and not in a script. */
export interface LibraryHook {
  /** The settings that it knows. */
  readonly settings: Readonly<Record<string, Rule>>;
  /** The one without which it has nothing to do. */
  readonly needs: string;
  /**
   * Resolves to its exit status: 0 done, 1 failed, 75 (EX_TEMPFAIL of sysexits.h) in `error` when something is still to be undone.
   * In `pre` and `inspect` it is called with `needs` set alone; in `post` and `error` always, since what is to be undone is known
   * from its state and not from its settings.
   */
  readonly run: (event: HookEvent, context: Context) => Promise<number>;
  /** Whether it could do its work now. Changes nothing. */
  readonly check: (values: Values) => Promise<readonly Problem[]>;
}
