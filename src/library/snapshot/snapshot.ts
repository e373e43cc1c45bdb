// `snapshot`: the operation sees volumes as they were at one moment, for which services need to be down a second or so.

import { appendFileSync } from 'node:fs';
import { elapsedMs } from '../../system/machine.ts';
import { isUserNamespace, namespaceObstacle } from '../../system/namespace.ts';
import { randomHex } from '../../system/random.ts';
import type { Operation } from '../../types.ts';
import type { Context, LibraryHook, Problem, Values } from '../hook.ts';
import { serviceNames, servicesProblems, startServices, stopServices } from '../services/services.ts';
import { oneOf, words } from '../settings.ts';
import { durableDirectory, EX_TEMPFAIL, openState, type State } from '../state.ts';
import {
  cannotRollBack,
  findVolume,
  logicalVolumes,
  makeSnapshot,
  planSnapshot,
  removeSnapshots,
  resumeOrigins,
  rollBack,
  viewSource,
} from './devices.ts';
import {
  escapeWord,
  lackOfRoom,
  mountOptions,
  overflowed,
  type Snapshot,
  sizeRule,
  type Volume,
} from './volume.ts';

export const snapshot: LibraryHook = {
  settings: {
    VOLUMES: paths,
    SIZE: sizeRule,
    QUIESCE: serviceNames,
    LIVE: paths,
    ON_OVERFLOW: oneOf('fail', 'warn'),
    ROLLBACK: oneOf('yes', 'no'),
  },
  needs: 'VOLUMES',
  run: async ({ operation, state }, context) => {
    switch (state) {
      case 'pre':
        return pre(operation, context);
      case 'inspect':
        return 0;
      case 'post':
        return post(context);
      case 'error':
        return error(context);
    }
  },
  check: async values => [...survey(values, 'backup').problems, ...servicesProblems(words(values.QUIESCE))],
};

function paths(value: string): string | undefined {
  const bad = words(value).find(word => !word.startsWith('/'));
  return bad === undefined ? undefined : `has '${bad}', which is no absolute path`;
}

/** What is noted before the act. */
interface Taken {
  readonly operation: Operation;
  readonly snapshots: readonly Snapshot[];
  readonly onOverflow: 'fail' | 'warn';
}

const sizeOf = (values: Values): string => values.SIZE ?? '20%ORIGIN';

function survey(
  values: Values,
  operation: Operation,
): { readonly volumes: readonly Volume[]; readonly problems: readonly Problem[] } {
  const lvs = logicalVolumes();
  const found = words(values.VOLUMES).map(path => findVolume(path, lvs));
  const volumes = new Map<string, Volume>();
  const problems: Problem[] = [];
  for (const each of found) {
    if ('kind' in each) volumes.set(each.kind === 'btrfs' ? each.path : each.mount.target, each);
    else problems.push(each);
  }
  const all = [...volumes.values()];
  if (operation === 'restore') problems.push(...all.flatMap(volume => cannotRollBack(volume) ?? []));
  else problems.push(...viewProblems());
  return { volumes: all, problems: [...problems, ...lackOfRoom(all, lvs, sizeOf(values))] };
}

/** Why nobody could look at a snapshot here. */
function viewProblems(): readonly Problem[] {
  const obstacle = namespaceObstacle();
  if (obstacle !== undefined) return [obstacle];
  if (!isUserNamespace()) return [];
  const reason = 'no disk can be mounted in a user namespace, such as that of an unprivileged container';
  return [{ reason, remedy: 'back up on the host of the container' }];
}

function pre(operation: Operation, context: Context): number {
  const { values, instance, isSimulated, view, tell } = context;
  // A restore has no use for a frozen view; a way back it may have.
  if (operation === 'restore' && values.ROLLBACK !== 'yes') return 0;
  const { volumes, problems } = survey(values, operation);
  const blind: Problem[] =
    operation === 'restore' || isSimulated || view !== undefined
      ? []
      : [
          {
            reason: 'nobody would look at the snapshot',
            remedy: "call the backup by 'tklbam-hooks wrap', or tklbam",
          },
        ];
  for (const { reason, remedy } of [...blind, ...problems])
    tell(`${reason}; nothing was stopped (${remedy})`);
  if (blind.length + problems.length > 0) return 1;
  const shown = volumes
    .map(volume => (volume.kind === 'btrfs' ? volume.path : volume.mount.target))
    .join(', ');
  const services = words(values.QUIESCE);
  if (isSimulated) {
    tell(`would take a snapshot of ${shown}`);
    return services.length === 0 || stopServices(services, true, 'snapshot', context) ? 0 : 1;
  }

  const state = stateOf(context);
  const left = state.load();
  // Of a session whose end nobody could be told.
  if (left !== undefined && error(context) !== 0) return 1;
  const id = `${instance.replace(/[^\w-]/g, '_').slice(0, 40)}-${randomHex(4)}`;
  const snapshots = volumes.map((volume, index) => planSnapshot(volume, `${id}-${index}`));
  state.save({ operation, snapshots, onOverflow: values.ON_OVERFLOW === 'warn' ? 'warn' : 'fail' });
  const began = elapsedMs();
  if (services.length > 0 && !stopServices(services, true, 'snapshot', context)) {
    state.remove();
    return 1;
  }
  // All are down: the volumes are one moment, as nearly as can be.
  const failure = firstFailure(snapshots, sizeOf(values));
  const seconds = ((elapsedMs() - began) / 1000).toFixed(1);
  const isUp = services.length === 0 || startServices(context);
  if (failure === undefined && isUp) {
    tell(`took a snapshot of ${shown} in ${seconds} s`);
    if (operation === 'backup' && view !== undefined)
      appendFileSync(view, viewLines(snapshots, words(values.LIVE)));
    return 0;
  }
  if (failure !== undefined) tell(`could not take a snapshot of ${shown}: ${failure}`);
  remove(snapshots, state, context);
  return 1;
}

function firstFailure(snapshots: readonly Snapshot[], size: string): string | undefined {
  for (const each of snapshots) {
    const failure = makeSnapshot(each, size);
    if (failure !== undefined) return failure;
  }
  return undefined;
}

/** As TKLBAM_HOOK_VIEW has them: FSTYPE SOURCE TARGET OPTIONS. */
function viewLines(snapshots: readonly Snapshot[], live: readonly string[]): string {
  const lines = snapshots.map(each => {
    const { source, options } = viewSource(each);
    const target = each.kind === 'btrfs' ? each.origin : each.mount.target;
    const all = [mountOptions(each.mount.fstype), options].filter(Boolean).join(',');
    return ['snapshot', each.mount.fstype, source, target, all].map(escapeWord).join(' ');
  });
  return [...lines, ...live.map(path => `live ${escapeWord(path)}`)].map(line => `${line}\n`).join('');
}

/** Before any other hook or tool could call the backup good. */
function post(context: Context): number {
  const state = stateOf(context);
  const taken = state.load();
  if (taken === undefined) return startServices(context) ? 0 : 1;
  if (context.isSimulated) return 0;
  const isGood = taken.operation === 'restore' || isWhole(taken, context) || taken.onOverflow === 'warn';
  const isRemoved = remove(taken.snapshots, state, context);
  const isUp = startServices(context);
  return isRemoved && isUp && isGood ? 0 : 1;
}

function error(context: Context): number {
  const state = stateOf(context);
  const taken = state.load();
  if (taken === undefined && !context.isSimulated) state.remove();
  if (taken === undefined || context.isSimulated) return startServices(context) ? 0 : EX_TEMPFAIL;
  // First of all: services that are to be stopped or started could wait for them. What fails is tried again, and told, by `remove`.
  resumeOrigins(taken.snapshots);
  // It may be why the operation failed.
  if (taken.operation === 'backup') isWhole(taken, context);
  const isBack = taken.operation === 'backup' || putBack(taken.snapshots, context);
  const isRemoved = isBack && remove(taken.snapshots, state, context);
  const isUp = startServices(context);
  return isRemoved && isUp ? 0 : EX_TEMPFAIL;
}

/** Whether what was read of the snapshots is what they held; if not, that is told. */
function isWhole({ snapshots, onOverflow }: Taken, { instance, tell }: Context): boolean {
  const bad = overflowed(snapshots, logicalVolumes());
  for (const { mount } of bad) {
    const what = `the snapshot of ${mount.target} was too small for what changed meanwhile, so that what was read may be wrong`;
    const remedy = `set a larger SIZE in ${instance}.conf`;
    tell(
      onOverflow === 'fail'
        ? `${what}: this backup is not good (${remedy})`
        : `${what} (ON_OVERFLOW=warn; ${remedy})`,
    );
  }
  return bad.length === 0;
}

/** The volumes as they were before the restore. Whether all are. */
function putBack(snapshots: readonly Snapshot[], context: Context): boolean {
  const { values, tell } = context;
  const lost = overflowed(snapshots, logicalVolumes());
  for (const { mount } of lost) {
    tell(
      `${mount.target} cannot be put back to what it was: its snapshot was too small for what was restored (set a larger SIZE)`,
    );
  }
  const services = words(values.QUIESCE);
  if (services.length > 0 && !stopServices(services, true, 'way back', context)) return false;
  const failures = snapshots
    .filter(each => !lost.includes(each))
    .flatMap(each => {
      const why = rollBack(each);
      if (why === undefined) tell(`put ${each.mount.target} back to what it was before the restore`);
      return why === undefined ? [] : [why];
    });
  for (const why of failures) tell(`${why} ('tklbam-hooks recover' tries again)`);
  return failures.length === 0;
}

function remove(snapshots: readonly Snapshot[], state: State<Taken>, { tell }: Context): boolean {
  const failures = removeSnapshots(snapshots);
  for (const failure of failures)
    tell(`could not remove the snapshot ${failure} ('tklbam-hooks recover' tries again)`);
  if (failures.length === 0) state.remove();
  return failures.length === 0;
}

const stateOf = ({ statePaths, instance }: Context): State<Taken> =>
  openState<Taken>(durableDirectory(statePaths.stateDirectory), instance, value =>
    isTaken(value) ? value : undefined,
  );

/** Written by ourselves, in a directory of root's alone. */
const isTaken = (value: unknown): value is Taken =>
  typeof value === 'object' && value !== null && 'snapshots' in value && Array.isArray(value.snapshots);
