// What a ready hook has to undo: on disk before it acts, and gone when all is undone.
import { existsSync, lstatSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { removeDurably, replaceDurably } from '../system/durable-file.ts';
import { errnoOf } from '../system/errno.ts';

/** How a hook exits in `error` when something is still to be undone: EX_TEMPFAIL of sysexits.h. */
export const EX_TEMPFAIL = 75;

export interface State<T> {
  /** Undefined if there is nothing to undo. Throws if it cannot be read or understood. */
  readonly load: () => T | undefined;
  readonly save: (value: T) => void;
  readonly remove: () => void;
}

/** For what a reboot undoes by itself, such as a unit that is stopped. */
export const RUN_DIRECTORY = '/run/tklbam-hooks';

/** The state of a hook of that name. `narrow` makes a T of what JSON.parse gives, or undefined. */
export function openState<T>(
  directory: string,
  instance: string,
  narrow: (value: unknown) => T | undefined,
): State<T> {
  const path = `${directory}/${instance}.json`;
  return {
    load: () => {
      let text: string;
      try {
        text = readFileSync(path, 'utf8');
      } catch (error) {
        if (errnoOf(error) === 'ENOENT') return undefined;
        throw error;
      }
      let value: unknown;
      try {
        value = JSON.parse(text);
      } catch {
        value = undefined;
      }
      const state = narrow(value);
      if (state === undefined)
        throw new Error(`'${path}' is damaged: undo by hand what it is about, then remove it`);
      return state;
    },
    save: value => {
      // Neither may be there yet; the ones above them always are.
      for (const each of [dirname(directory), directory]) makePrivate(each);
      replaceDurably(path, () => `${JSON.stringify(value)}\n`);
    },
    remove: () => removeDurably(path),
  };
}

/** Where state is that a reboot does not undo. */
export const durableDirectory = (stateDirectory: string): string => `${stateDirectory}/library`;

/** Whether a hook of that name has something to undo. */
export const isPending = (stateDirectory: string, instance: string): boolean =>
  [RUN_DIRECTORY, durableDirectory(stateDirectory)].some(each => existsSync(`${each}/${instance}.json`));

/** Root's alone: who could write there would have us start or remove what they like. */
export function makePrivate(directory: string): void {
  try {
    mkdirSync(directory, { mode: 0o700 });
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error;
  }
  const { uid, mode } = lstatSync(directory);
  if (uid !== (process.geteuid?.() ?? 0) || (mode & 0o170022) !== 0o040000) {
    throw new Error(`'${directory}' is no directory of root's that nobody else can write to: remove it`);
  }
}

export const isStrings = (value: unknown): value is string[] =>
  Array.isArray(value) && value.every(each => typeof each === 'string');
