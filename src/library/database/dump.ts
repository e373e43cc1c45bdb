// Dumps go into a directory of their own, and count once the manifest names it: until then yesterday's do.
import {
  closeSync,
  constants,
  fstatSync,
  fsync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statfsSync,
} from 'node:fs';
import { basename } from 'node:path';
import { promisify } from 'node:util';
import { escapeControls, listed } from '../../cli/text.ts';
import { syncDirectory } from '../../system/durable-file.ts';
import { attempt } from '../../system/errno.ts';
import { randomHex } from '../../system/random.ts';
import type { Context, Problem } from '../hook.ts';
import { makePrivate } from '../state.ts';
import { run } from '../tool.ts';
import { type Database, type Entry, type Item, isProblem } from './database.ts';
import { dumpProblems, isManifest, readManifest, writeManifest } from './manifest.ts';
import { sha256Beside } from './sum.ts';

/** Dumps all that the settings ask for into a directory, which is made. Whether all of it is there, whole. */
export async function dumpAll(database: Database, directory: string, context: Context): Promise<boolean> {
  const { values, isSimulated, isResumed, tell } = context;
  const { items, problems, warnings = [], server } = database.survey(values);
  const all = items.length === 0 && problems.length === 0 ? [nothingThere] : problems;
  for (const { reason, remedy } of all) tell(`${reason}; nothing was dumped (${remedy})`);
  if (all.length > 0) return false;
  for (const warning of warnings) tell(warning);
  const names = listed(items.map(({ name }) => name));
  if (isSimulated) {
    tell(`would dump ${escapeControls(names)}`);
    return true;
  }
  if (isResumed && isWhole(database, directory, items)) {
    tell('the dumps of the backup that is resumed are whole, and stay');
    return true;
  }
  makePrivate(directory);
  removeParts(directory);
  const generation = `${new Date()
    .toISOString()
    .replaceAll(/[-:]|\..*/g, '')
    .replace('T', '-')}-${randomHex(2)}`;
  const part = `${directory}/${generation}.part`;
  makePrivate(part);
  const entries: Entry[] = [];
  for (const [index, item] of items.entries()) {
    const entry = await dumpOne(database, item, part, index, context);
    if (!('sha256' in entry)) {
      const { reason, remedy } = withRoom(entry, directory);
      tell(`could not dump ${escapeControls(item.name)}: ${reason} (${remedy})`);
      attempt(() => rmSync(part, { recursive: true }));
      return false;
    }
    entries.push(entry);
  }
  syncDirectory(part);
  renameSync(part, `${directory}/${generation}`);
  syncDirectory(directory);
  writeManifest(directory, {
    format: 1,
    kind: database.kind,
    made: new Date().toISOString(),
    server,
    generation,
    entries,
  });
  removeGenerations(directory, name => name !== generation);
  return true;
}

const nothingThere: Problem = {
  reason: 'there is no database that DATABASES and EXCLUDE leave',
  remedy: 'correct them, or disable this hook',
};

async function dumpOne(
  database: Database,
  item: Item,
  directory: string,
  index: number,
  { values }: Context,
): Promise<Entry | Problem> {
  const file = `${String(index + 1).padStart(4, '0')}-${fileName(item.name)}${database.suffix}`;
  const path = `${directory}/${file}`;
  try {
    const { O_WRONLY, O_CREAT, O_EXCL } = constants;
    const fd = openSync(path, O_WRONLY | O_CREAT | O_EXCL, 0o600);
    try {
      const dumped = database.dump(item, fd, values);
      if (isProblem(dumped)) return dumped;
      if (fstatSync(fd).size === 0) return { reason: 'the dump is empty', remedy: 'try it by hand' };
      const facts = { ...item.facts, ...dumped.facts };
      const verify = (): Problem | undefined => database.verify(path, { name: item.name, facts });
      if (values.COMPRESS !== 'zstd') return await entryOf(path, fd, verify, item.name, facts);
      const problem = (await flushed(fd, verify)) ?? zstd('-q', '--rm', path);
      return problem ?? (await compressedEntry(`${path}.zst`, item.name, facts));
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    return { reason: escapeControls(errnoText(error)), remedy: 'mend that' };
  }
}

async function compressedEntry(path: string, name: string, facts: Item['facts']): Promise<Entry | Problem> {
  const fd = openSync(path, 'r');
  try {
    return await entryOf(path, fd, () => zstd('-q', '-t', path), name, facts);
  } finally {
    closeSync(fd);
  }
}

/** Of a file that is open, when it is on disk, and nothing is wrong with it. */
async function entryOf(
  path: string,
  fd: number,
  verify: () => Problem | undefined,
  name: string,
  facts: Item['facts'],
): Promise<Entry | Problem> {
  // What is read is in memory still, so that it takes no longer than the disk.
  const [summed, problem] = await Promise.allSettled([sha256Beside(path), flushed(fd, verify)]);
  if (problem.status === 'rejected') throw problem.reason;
  if (problem.value !== undefined) return problem.value;
  if (summed.status === 'rejected') throw summed.reason;
  return { name, file: basename(path), size: fstatSync(fd).size, sha256: summed.value, facts };
}

/** Writes a file out beside `verify`, which blocks. Throws what fsync(2) said, whatever was found. */
async function flushed(fd: number, verify: () => Problem | undefined): Promise<Problem | undefined> {
  const [written, problem] = await Promise.allSettled([fsyncBeside(fd), (async () => verify())()]);
  if (written.status === 'rejected') throw written.reason;
  if (problem.status === 'rejected') throw problem.reason;
  return problem.value;
}

const fsyncBeside = promisify(fsync);

function zstd(...args: readonly string[]): Problem | undefined {
  const { status, reason } = run({ name: 'zstd', args });
  return status === 0 ? undefined : { reason, remedy: 'install zstd, make room, or leave COMPRESS out' };
}

const errnoText = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** Of a name, what any file system and any shell can bear. The number before it makes it unique. */
const fileName = (name: string): string => name.replaceAll(/[^\w.-]+/g, '_').slice(-100);

/** A full disk shows in as many ways as there are tools. */
function withRoom(problem: Problem, directory: string): Problem {
  const { bavail, bsize } = attempt(() => statfsSync(directory)) ?? { bavail: 1, bsize: 1 << 30 };
  return bavail * bsize >= 1 << 20
    ? problem
    : {
        reason: `no space is left in '${directory}': ${problem.reason}`,
        remedy: 'make room there, or set COMPRESS=zstd',
      };
}

/** Dumps of an attempt that was resumed are the same databases, all whole. */
function isWhole(database: Database, directory: string, items: readonly Item[]): boolean {
  const manifest = readManifest(directory, database.kind);
  if (!isManifest(manifest)) return false;
  const names = (all: readonly Item[]): string => JSON.stringify(all.map(({ name }) => name));
  return names(manifest.entries) === names(items) && dumpProblems(directory, manifest, 'sums').length === 0;
}

/** Removes the directories of dumps that are none of the backup: `isOld` says so of their names. */
function removeGenerations(directory: string, isOld: (name: string) => boolean): void {
  for (const name of readdirSync(directory)) {
    if (/^\d{8}-\d{6}-[0-9a-f]{4}(?:\.part)?$/.test(name) && isOld(name))
      rmSync(`${directory}/${name}`, { recursive: true });
  }
}

/** Of an attempt that was cut off. */
export const removeParts = (directory: string): void =>
  removeGenerations(directory, name => name.endsWith('.part'));
