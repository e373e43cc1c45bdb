// What a hook for one kind of database is to the frame, which decides when each of these is called.
import type { LibraryName } from '../../types.ts';
import type { Problem, Rule, Values } from '../hook.ts';

/** What was true of a database when it was dumped, and its restore needs or is compared with. Kept in the manifest. */
export type Facts = Readonly<Record<string, string>>;

/** What is dumped by itself: a database, a file, a server as a whole. */
export interface Item {
  /** Unique in a backup, and what messages call it. */
  readonly name: string;
  readonly facts: Facts;
}

/** A dump of an item. */
export interface Entry extends Item {
  /** Its file, without a directory. */
  readonly file: string;
  /** In bytes. */
  readonly size: number;
  readonly sha256: string;
}

export interface Survey {
  readonly items: readonly Item[];
  /** Why what the settings ask for cannot be dumped; then nothing is. */
  readonly problems: readonly Problem[];
  /** What is dumped, and is not all that a reader of the dump may take it for. A line each. */
  readonly warnings?: readonly string[];
  /** Name and version, for people and for the restore. */
  readonly server: string;
}

/** One restore, of all the dumps that are wanted. */
export interface Restore {
  /** Eight hexadecimal digits of its own, for the names of what is new or old beside what is used. */
  readonly id: string;
  readonly entries: readonly Entry[];
  /** The server that was dumped, from the manifest. */
  readonly server: string;
}

/** The path of the dump of an entry, whole and not compressed. Root alone can read it: give it as a descriptor. */
export type PathOf = (entry: Entry) => string;

/**
 * Each function that returns a Problem or a list of these has succeeded if there is none. What they throw counts as a failure of the same
 * kind, with its message as the reason. All block: a hook is a process of its own.
 */
export interface Database {
  readonly kind: LibraryName;
  /** Beyond those that all databases have (`SHARED_SETTINGS`). */
  readonly settings: Readonly<Record<string, Rule>>;
  /** Of the dumps' file names, with the dot. */
  readonly suffix: string;
  /** What is dumped and restored whatever DATABASES says, such as roles. Default: nothing. */
  readonly isAlwaysWanted?: (item: Item) => boolean;
  /** What there is to dump by the settings. Changes nothing. */
  readonly survey: (values: Values) => Survey;
  /** Writes a dump to the descriptor, which is that of an empty file. More facts, as far as they are known only now. */
  readonly dump: (item: Item, fd: number, values: Values) => { readonly facts: Facts } | Problem;
  /** Removes what `dump` or `verify` has left elsewhere, if it was cut off. */
  readonly abandon?: (values: Values) => void;
  /** Whether a dump is whole, as far as that can be told without changing a server; its checksum is known to be right. */
  readonly verify: (path: string, item: Item) => Problem | undefined;
  /** Why these could not be loaded into what is there now: version, room, encoding, owner. Changes nothing. */
  readonly obstacles: (restore: Restore, pathOf: PathOf, values: Values) => readonly Problem[];
  /** Loads all of it beside what is used, or makes a way back, so that `switchBack` can always be had. */
  readonly load: (restore: Restore, pathOf: PathOf, values: Values) => Problem | undefined;
  /** Puts what was loaded in the place of what is used, which it keeps. */
  readonly switchOver: (restore: Restore, values: Values, pathOf: PathOf) => Problem | undefined;
  /**
   * What was used before is used again, and nothing of the new is left. It may come after any part of `load` and `switchOver`, and after
   * a part of itself, and looks at what is there instead of remembering. Not called once `switchOver` has succeeded. `load` can leave it a
   * file in the directory of `pathOf`.
   */
  readonly switchBack: (restore: Restore, values: Values, pathOf: PathOf) => Problem | undefined;
  /** Starts the server if it is down, which it was not when the restore began. Called when `finish` has failed. */
  readonly serve?: (restore: Restore, values: Values) => Problem | undefined;
  /** When all is in its place and used: removes what only `switchBack` needed. Done again it does no harm. */
  readonly finish?: (restore: Restore, values: Values) => Problem | undefined;
  /** Removes for good what `switchOver` kept. Done again it does no harm. */
  readonly dropOld: (restore: Restore, values: Values) => Problem | undefined;
  /** Where what was there before is to be found, for people; undefined if there was nothing. */
  readonly whereOld: (restore: Restore, values: Values) => string | undefined;
}

export const isProblem = (value: object): value is Problem => 'reason' in value && 'remedy' in value;

/** That of a server of which nothing can be known. */
export const surveyFailed = (problem: Problem): Survey => ({ items: [], problems: [problem], server: '' });
