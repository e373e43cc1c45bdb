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

/** Whose state it is, and where. */
export interface Place {
  /** File name of the hook. Two copies of one kind differ by it, and keep their state by it. */
  readonly instance: string;
  readonly stateDirectory: string;
}

/** What a ready hook gets besides the event. */
export interface Context {
  /** As in `Place`. */
  readonly instance: string;
  readonly values: Values;
  /** Change nothing, and say what would be done. */
  readonly isSimulated: boolean;
  /** The backup goes on where an earlier one was cut off. */
  readonly isResumed: boolean;
  /** tklbam was told to leave databases out of this operation. */
  readonly skipsDatabases: boolean;
  /** Whether `inspect` follows upon `pre`: always, but for `wrap` without --inspect. */
  readonly willInspect: boolean;
  /** Where we were started: in `inspect`, the directory whose content is stored with the backup, or came out of it. */
  readonly directory: string;
  readonly statePaths: StatePaths;
  /** What the session is called, what went wrong, which hook failed, and what was a warning; each empty if there is none. */
  readonly news: Readonly<Record<'name' | 'error' | 'failed' | 'warning', string>>;
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
  readonly check: (values: Values, place: Place) => Promise<readonly Problem[]>;
  /**
   * Whether what was dumped last, or is in that directory, is whole: resolves to 0 or 1. Absent for hooks that dump nothing. It needs no
   * settings.
   */
  readonly verify?: (directory: string | undefined, context: Context) => Promise<number>;
}
