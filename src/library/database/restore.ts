// A restore: every dump is verified before anything is changed, all of it is loaded beside what is used, and then takes its place. The
// step that is begun is on disk before it begins, so that whatever is cut off is taken back, or finished.
import { closeSync, constants, copyFileSync, existsSync, linkSync, openSync, rmSync } from 'node:fs';
import { escapeControls } from '../../cli/text.ts';
import { randomHex } from '../../system/random.ts';
import type { Context, Problem } from '../hook.ts';
import { makePrivate } from '../state.ts';
import { run } from '../tool.ts';
import type { Database, Entry, PathOf, Restore } from './database.ts';
import { dumpPath, dumpProblems, isManifest, type Manifest, readManifest } from './manifest.ts';
import { isNamed } from './settings.ts';

/** Entries without those that the settings leave out; or why none of them can be restored. Changes nothing. */
export function survey(
  database: Database,
  directory: string,
  { values }: Context,
): { readonly manifest: Manifest; readonly restore: Restore } | readonly Problem[] {
  const manifest = readManifest(directory, database.kind);
  if (!isManifest(manifest)) return [manifest];
  const damaged = dumpProblems(directory, manifest, 'sums');
  if (damaged.length > 0) return damaged;
  const named = manifest.entries.filter(entry => isNamed(values, entry));
  const entries = manifest.entries.filter(
    entry => named.includes(entry) || database.isAlwaysWanted?.(entry) === true,
  );
  if (named.length > 0) return { manifest, restore: { id: randomHex(4), entries, server: manifest.server } };
  return [
    {
      reason: `none of the dumps in '${directory}' is one that DATABASES and EXCLUDE leave`,
      remedy: 'correct them',
    },
  ];
}

/**
 * Puts the dumps where they stay until they are loaded: those of tklbam go before that. Then looks at each as closely as its tools can,
 * and at what is there now.
 */
export function stage(
  database: Database,
  directory: string,
  manifest: Manifest,
  restore: Restore,
  staged: string,
  { values }: Context,
): readonly Problem[] {
  unstage(staged);
  makePrivate(staged);
  const pathOf = stagedPath(staged);
  for (const entry of restore.entries) {
    const problem =
      place(dumpPath(directory, manifest, entry), pathOf(entry)) ?? database.verify(pathOf(entry), entry);
    if (problem !== undefined)
      return [
        { reason: `the dump of ${escapeControls(entry.name)}: ${problem.reason}`, remedy: problem.remedy },
      ];
  }
  return database.obstacles(restore, pathOf, values);
}

export const stagedPath =
  (staged: string): PathOf =>
  ({ file }: Entry) =>
    `${staged}/${file.replace(/\.zst$/, '')}`;

export const unstage = (staged: string): void => rmSync(staged, { recursive: true, force: true });

function place(from: string, to: string): Problem | undefined {
  if (from.endsWith('.zst')) return expand(from, to);
  try {
    linkSync(from, to);
  } catch {
    // Another file system, or one without links.
    copyFileSync(from, to, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
  }
  return undefined;
}

function expand(from: string, to: string): Problem | undefined {
  const fd = openSync(to, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
  try {
    const { status, reason } = run({ name: 'zstd', args: ['-q', '-d', '-c', from], stdout: fd });
    return status === 0 ? undefined : { reason, remedy: 'install zstd, or make room' };
  } finally {
    closeSync(fd);
  }
}

/** Whether that directory holds dumps of a hook at all. */
export const hasDumps = (directory: string): boolean => existsSync(`${directory}/manifest.json`);
