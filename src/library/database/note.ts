// What `load` leaves for `switchOver` and `switchBack`, when the server is down and cannot be asked: a file beside the staged dumps.
import { readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { replaceDurably } from '../../system/durable-file.ts';
import { attempt } from '../../system/errno.ts';
import type { PathOf, Restore } from './database.ts';

/** A restore of nothing needs none. */
function notePath({ entries: [entry] }: Restore, pathOf: PathOf): string | undefined {
  return entry === undefined ? undefined : `${dirname(pathOf(entry))}/server.json`;
}

export function note<T>(restore: Restore, pathOf: PathOf, value: T): void {
  const path = notePath(restore, pathOf);
  if (path !== undefined) replaceDurably(path, () => JSON.stringify(value));
}

/** What was noted of it, as a T, since it was by ourselves, in a directory of root's alone, and is replaced as a whole; undefined if nothing. */
export function noted<T>(restore: Restore, pathOf: PathOf): T | undefined {
  const path = notePath(restore, pathOf);
  const text = path === undefined ? undefined : attempt(() => readFileSync(path, 'utf8'));
  return text === undefined ? undefined : JSON.parse(text);
}
