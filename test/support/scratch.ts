// Directories of a test's own, that no other user can write to.
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';

/** Where scratch directories and caches are: below no directory that others can write, as /tmp is. */
export const cacheDirectory = join(
  process.env.XDG_CACHE_HOME || join(homedir(), '.cache'),
  'tklbam-hooks-test',
);

/** All that were made, gone or not. */
export const scratchDirectories: string[] = [];

/** A directory of the test's own, gone after it. */
export function scratch(t: TestContext): string {
  mkdirSync(cacheDirectory, { recursive: true, mode: 0o755 });
  const directory = mkdtempSync(join(cacheDirectory, 'run-'));
  chmodSync(directory, 0o755);
  scratchDirectories.push(directory);
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}
