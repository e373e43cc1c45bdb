// From a kind of database to a ready hook: which state does what, and what is noted before it.
import { existsSync, renameSync, rmSync } from 'node:fs';
import { escapeControls, listed } from '../../cli/text.ts';
import { syncDirectory } from '../../system/durable-file.ts';
import type { HookEvent, Operation } from '../../types.ts';
import type { Context, LibraryHook, Place, Problem, Values } from '../hook.ts';
import { durableDirectory, EX_TEMPFAIL, makePrivate, openState, type State } from '../state.ts';
import type { Database, Restore } from './database.ts';
import { dumpAll, removeParts } from './dump.ts';
import { dumpPath, dumpProblems, isManifest, narrowEntry, readManifest } from './manifest.ts';
import { hasDumps, stage, stagedPath, survey, unstage } from './restore.ts';
import { keepOldMs, SHARED_SETTINGS } from './settings.ts';

/** The ready hook for a kind of database. */
export function databaseHook(database: Database): LibraryHook {
  return {
    settings: { ...SHARED_SETTINGS, ...database.settings },
    needs: 'DATABASES',
    run: (event, context) => runState(database, event, context),
    check: async (values, place) => [
      ...database.survey(values).problems,
      ...lastDumpProblems(database, place, 'sizes'),
    ],
    verify: async (directory, context) => verifyDumps(database, directory, context),
  };
}

/** For one whose only item is the server as a whole: it leaves nothing to exclude. */
export function wholeServer(hook: LibraryHook): LibraryHook {
  const { EXCLUDE: _, ...settings } = hook.settings;
  return { ...hook, settings };
}

async function runState(
  database: Database,
  { operation, state }: HookEvent,
  context: Context,
): Promise<number> {
  if (context.skipsDatabases && (state === 'pre' || state === 'inspect')) {
    if (state === 'pre')
      context.tell(`tklbam leaves databases out of this ${operation}, and so does this hook`);
    return 0;
  }
  switch (state) {
    case 'pre':
      return pre(database, operation, context);
    case 'inspect':
      return operation === 'backup'
        ? backupTo(database, inspected(context), context)
        : verifyFirst(database, context);
    case 'post':
      return operation === 'backup' ? backupPost(database, context) : restorePost(database, context);
    case 'error':
      return undo(database, context) ? 0 : EX_TEMPFAIL;
  }
}

/** What is noted before the act. */
type Noted =
  /** `pre` of a backup was told. */
  | { readonly step: 'backup' | 'dumped' }
  /** `pre` of a restore was told: dumps of this machine that were there are aside. */
  | { readonly step: 'restore' }
  /** The dumps are verified, and nothing is changed; or that of `Database` has begun; or all is in its place. */
  | { readonly step: 'staged' | 'load' | 'switch' | 'switched'; readonly restore: Restore };

/** Where dumps are when nobody says where: for the backup tool to take along. */
const dumpsOf = ({ stateDirectory, instance }: Place): string => `${stateDirectory}/dumps/${instance}`;
const inspected = ({ directory, instance }: Context): string => `${directory}/${instance}`;
const placeOf = ({ statePaths, instance }: Context): Place => ({
  stateDirectory: statePaths.stateDirectory,
  instance,
});
const asideOf = (place: Place): string => dumpsOf({ ...place, instance: `.${place.instance}.aside` });
const stagedOf = ({ stateDirectory, instance }: Place): string =>
  `${durableDirectory(stateDirectory)}/${instance}.staged`;

async function pre(database: Database, operation: Operation, context: Context): Promise<number> {
  const { isSimulated, willInspect, statePaths } = context;
  const state = stateOf(context);
  // Of a session whose end nobody could be told.
  if (!isSimulated && state.load() !== undefined && !undo(database, context)) return 1;
  const place = placeOf(context);
  if (operation === 'backup') {
    if (!isSimulated) state.save({ step: 'backup' });
    if (willInspect) return 0;
    for (const each of [statePaths.stateDirectory, `${statePaths.stateDirectory}/dumps`])
      if (!isSimulated) makePrivate(each);
    return backupTo(database, dumpsOf(place), context);
  }
  if (isSimulated) return 0;
  state.save({ step: 'restore' });
  // Those that COMMAND brings count, and not what is left of the last backup here.
  if (!willInspect && existsSync(dumpsOf(place))) renameDurably(dumpsOf(place), asideOf(place));
  return 0;
}

async function backupTo(database: Database, directory: string, context: Context): Promise<number> {
  if (!(await dumpAll(database, directory, context))) return 1;
  if (!context.isSimulated) stateOf(context).save({ step: 'dumped' });
  return 0;
}

function backupPost(database: Database, context: Context): number {
  const state = stateOf(context);
  const noted = state.load();
  if (noted === undefined || context.isSimulated) return 0;
  state.remove();
  if (noted.step === 'dumped') return dropOld(database, context) ? 0 : 1;
  context.tell("this backup has no dump: 'inspect' never came (see READY HOOKS in tklbam-hooks(5))");
  return 1;
}

/** `inspect` of a restore, which changes nothing but what is noted. */
function verifyFirst(database: Database, context: Context): number {
  return prepare(database, inspected(context), context) === undefined ? 1 : 0;
}

/** Undefined if it cannot be: told, and nothing was changed. */
function prepare(database: Database, directory: string, context: Context): Restore | undefined {
  const { isSimulated, tell } = context;
  const staged = stagedOf(placeOf(context));
  const refuse = (problems: readonly Problem[]): undefined => {
    for (const { reason, remedy } of problems)
      tell(`${escapeControls(reason)}; no database was changed (${remedy})`);
    if (!isSimulated) unstage(staged);
  };
  try {
    const found = survey(database, directory, context);
    if (!('restore' in found)) return refuse(found);
    const { manifest, restore } = found;
    if (isSimulated) {
      const pathOf = (entry: Restore['entries'][number]): string => dumpPath(directory, manifest, entry);
      const problems = database.obstacles(restore, pathOf, context.values);
      if (problems.length > 0) return refuse(problems);
      tell(`would restore ${namesOf(restore)}`);
      return restore;
    }
    stateOf(context).save({ step: 'staged', restore });
    const problems = stage(database, directory, manifest, restore, staged, context);
    return problems.length > 0 ? refuse(problems) : restore;
  } catch (error) {
    return refuse([{ reason: messageOf(error), remedy: 'mend that' }]);
  }
}

function restorePost(database: Database, context: Context): number {
  const { isSimulated, willInspect, tell } = context;
  const state = stateOf(context);
  const noted = state.load();
  if (noted === undefined || isSimulated) return 0;
  const place = placeOf(context);
  if (noted.step === 'switched') return finish(database, noted.restore, context) ? 0 : 1;
  if (noted.step === 'restore' && !willInspect && !hasDumps(dumpsOf(place))) {
    tell(
      `this restore brought no dumps into '${dumpsOf(place)}', no database was changed (to restore without them: tklbam-hooks disable ${place.instance})`,
    );
  }
  const restore =
    noted.step === 'staged'
      ? noted.restore
      : noted.step === 'restore' && hasDumps(dumpsOf(place))
        ? prepare(database, dumpsOf(place), context)
        : undefined;
  if (restore !== undefined && load(database, restore, context)) return 0;
  undo(database, context);
  return 1;
}

/** Whether all of it is in its place. */
function load(database: Database, restore: Restore, context: Context): boolean {
  const { values, tell } = context;
  const state = stateOf(context);
  const pathOf = stagedPath(stagedOf(placeOf(context)));
  state.save({ step: 'load', restore });
  let problem = caught(() => database.load(restore, pathOf, values));
  if (problem === undefined) {
    state.save({ step: 'switch', restore });
    problem = caught(() => database.switchOver(restore, values, pathOf));
  }
  if (problem !== undefined) {
    tell(`could not restore ${namesOf(restore)}: ${problem.reason} (${problem.remedy})`);
    return false;
  }
  state.save({ step: 'switched', restore });
  return finish(database, restore, context);
}

/** What is left to do when all is in its place. */
function finish(database: Database, restore: Restore, context: Context): boolean {
  const problem = finished(database, restore, context.values);
  if (problem !== undefined) {
    context.tell(
      `restored ${namesOf(restore)}, but: ${problem.reason} (${problem.remedy}; 'tklbam-hooks recover' tries again)`,
    );
    return false;
  }
  const old = database.whereOld(restore, context.values);
  const kept = keptOf(context);
  const earlier = kept.load() ?? [];
  // Whatever is found now: a server that has just gone down does not say where it is.
  if (!earlier.some(each => each.restore.id === restore.id))
    kept.save([...earlier, { at: Date.now(), restore }]);
  const place = placeOf(context);
  unstage(stagedOf(place));
  rmSync(asideOf(place), { recursive: true, force: true });
  stateOf(context).remove();
  const keep = context.values.KEEP_OLD ?? '7d';
  const where = old === undefined ? '' : `, what was there before is kept as ${old} for ${keep}`;
  context.tell(`restored ${namesOf(restore)}${keepOldMs(keep) === 0 ? '' : where}`);
  return keepOldMs(keep) !== 0 || dropOld(database, context);
}

function finished(database: Database, restore: Restore, values: Values): Problem | undefined {
  const problem = caught(() => database.finish?.(restore, values));
  if (problem === undefined || database.serve === undefined) return problem;
  // The server itself may be what failed.
  return caught(() => database.serve?.(restore, values) ?? database.finish?.(restore, values));
}

/** What an operation that failed or was cut off left: whether nothing of it is left. */
function undo(database: Database, context: Context): boolean {
  const { values, isSimulated, tell } = context;
  const state = stateOf(context);
  const noted = state.load();
  if (noted === undefined || isSimulated) return true;
  const place = placeOf(context);
  if (noted.step === 'switched') return finish(database, noted.restore, context);
  if (noted.step === 'load' || noted.step === 'switch') {
    const pathOf = stagedPath(stagedOf(place));
    const problem = caught(() => database.switchBack(noted.restore, values, pathOf));
    if (problem !== undefined) {
      tell(
        `could not take back the restore of ${namesOf(noted.restore)}: ${problem.reason} (${problem.remedy}; 'tklbam-hooks recover' tries again)`,
      );
      return false;
    }
    tell(`${namesOf(noted.restore)}: what was there before the restore is in use again`);
  }
  if (noted.step === 'backup' || noted.step === 'dumped') {
    if (existsSync(dumpsOf(place))) removeParts(dumpsOf(place));
  } else {
    unstage(stagedOf(place));
    if (existsSync(asideOf(place))) {
      rmSync(dumpsOf(place), { recursive: true, force: true });
      renameDurably(asideOf(place), dumpsOf(place));
    }
  }
  if (noted.step === 'backup' || noted.step === 'staged') database.abandon?.(values);
  state.remove();
  return true;
}

/** What restores have replaced, and is not wanted any more. Whether that is gone. */
function dropOld(database: Database, context: Context): boolean {
  const kept = keptOf(context);
  const all = kept.load() ?? [];
  const keepMs = keepOldMs(context.values.KEEP_OLD) ?? 0;
  const failed = all.filter(({ at, restore }) => {
    if (Date.now() - at < keepMs) return true;
    const problem = caught(() => database.dropOld(restore, context.values));
    if (problem === undefined) return false;
    context.tell(
      `could not remove what a restore of ${namesOf(restore)} has kept: ${problem.reason} (${problem.remedy})`,
    );
    return true;
  });
  if (failed.length === 0) kept.remove();
  else if (failed.length < all.length) kept.save(failed);
  return !failed.some(({ at }) => Date.now() - at >= keepMs);
}

/** Of the last dumps in the directory of this hook; none if there are none. */
function lastDumpProblems(database: Database, place: Place, depth: 'sizes' | 'sums'): readonly Problem[] {
  const directory = dumpsOf(place);
  if (!existsSync(directory)) return [];
  const manifest = readManifest(directory, database.kind);
  return isManifest(manifest) ? dumpProblems(directory, manifest, depth) : [manifest];
}

function verifyDumps(database: Database, directory: string | undefined, context: Context): number {
  const from = directory ?? dumpsOf(placeOf(context));
  const problems = closely(database, from);
  for (const { reason, remedy } of problems) context.tell(`${escapeControls(reason)} (${remedy})`);
  return problems.length === 0 ? 0 : 1;
}

function closely(database: Database, directory: string): readonly Problem[] {
  const manifest = readManifest(directory, database.kind);
  if (!isManifest(manifest)) return [manifest];
  const damaged = dumpProblems(directory, manifest, 'sums');
  if (damaged.length > 0) return damaged;
  return (
    manifest.entries
      // A checksum that is right says that it is as it was verified when it was made; what is compressed is not written out for more.
      .filter(({ file }) => !file.endsWith('.zst'))
      .flatMap(entry => database.verify(dumpPath(directory, manifest, entry), entry) ?? [])
  );
}

function caught(work: () => Problem | undefined): Problem | undefined {
  try {
    return work();
  } catch (error) {
    return { reason: escapeControls(messageOf(error)), remedy: 'mend that' };
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

const namesOf = ({ entries }: Restore): string => escapeControls(listed(entries.map(({ name }) => name)));

function renameDurably(from: string, to: string): void {
  renameSync(from, to);
  syncDirectory(to.slice(0, to.lastIndexOf('/')));
}

const stateOf = (context: Context): State<Noted> =>
  openState<Noted>(durableDirectory(context.statePaths.stateDirectory), context.instance, narrowNoted);

/** What restores have replaced: not to be undone, and so not among the states. */
interface Kept {
  /** When, in milliseconds of Date.now. */
  readonly at: number;
  readonly restore: Restore;
}

const keptOf = (context: Context): State<readonly Kept[]> =>
  openState<readonly Kept[]>(
    `${durableDirectory(context.statePaths.stateDirectory)}/kept`,
    context.instance,
    value => {
      if (!Array.isArray(value)) return undefined;
      const all = value.map((each: unknown): Kept | undefined => {
        if (typeof each !== 'object' || each === null || !('at' in each && 'restore' in each))
          return undefined;
        const restore = narrowRestore(each.restore);
        return typeof each.at === 'number' && restore !== undefined ? { at: each.at, restore } : undefined;
      });
      return all.every(each => each !== undefined) ? all : undefined;
    },
  );

function narrowNoted(value: unknown): Noted | undefined {
  if (typeof value !== 'object' || value === null || !('step' in value)) return undefined;
  const { step } = value;
  if (step === 'backup' || step === 'dumped' || step === 'restore') return { step };
  const restore = 'restore' in value ? narrowRestore(value.restore) : undefined;
  if (restore === undefined) return undefined;
  return step === 'staged' || step === 'load' || step === 'switch' || step === 'switched'
    ? { step, restore }
    : undefined;
}

function narrowRestore(value: unknown): Restore | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  if (!('id' in value && 'server' in value && 'entries' in value) || !Array.isArray(value.entries))
    return undefined;
  const { id, server } = value;
  const entries = value.entries.map(narrowEntry);
  if (typeof id !== 'string' || typeof server !== 'string') return undefined;
  return entries.every(entry => entry !== undefined) ? { id, server, entries } : undefined;
}
