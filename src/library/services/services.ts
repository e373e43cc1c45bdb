// `services`: stopped while a backup or a restore goes on, and started again however that ends.
import { statSync } from 'node:fs';
import { attempt } from '../../system/errno.ts';
import type { Context, LibraryHook, Problem } from '../hook.ts';
import { oneOf, words } from '../settings.ts';
import { EX_TEMPFAIL, isStrings, openState, RUN_DIRECTORY, type State } from '../state.ts';
import type { Manager } from './manager.ts';
import { systemd } from './systemd.ts';
import { sysvinit } from './sysvinit.ts';

export const services: LibraryHook = {
  settings: { SERVICES: serviceNames, QUIESCE: oneOf('yes', 'no') },
  needs: 'SERVICES',
  run: async ({ operation, state }, context) => {
    const { values } = context;
    switch (state) {
      case 'pre':
        return stopServices(words(values.SERVICES), values.QUIESCE !== 'no', operation, context) ? 0 : 1;
      case 'inspect':
        return 0;
      case 'post':
      case 'error':
        return startServices(context) ? 0 : state === 'error' ? EX_TEMPFAIL : 1;
    }
  },
  check: async ({ SERVICES }) => servicesProblems(words(SERVICES)),
};

/** Why these could not be stopped now. */
export const servicesProblems = (names: readonly string[]): readonly Problem[] =>
  names.length === 0 ? [] : manager().survey(names).problems;

/** As systemd.unit(5) has names of units, with `.service` left out or not. */
export function serviceNames(value: string): string | undefined {
  const bad = words(value).find(word => !/^(?!-)[A-Za-z0-9:_.\\@-]{1,255}$/.test(word));
  if (bad !== undefined) return `has '${bad}', which is no name of a service`;
  const template = words(value).find(word => /@(?:\.|$)/.test(word));
  return template === undefined ? undefined : `has '${template}', a template: name its instances`;
}

/** A rule for a hook whose server is of one service. */
export const oneService = (value: string): string | undefined =>
  words(value).length > 1 ? 'names more than one: copy the hook for each' : serviceNames(value);

interface Stopped {
  /** To be started again. */
  readonly units: readonly string[];
  readonly held: readonly string[];
}

/**
 * Stops services with all that depends on them, and notes first, in /run, what ran: a reboot starts what is enabled. What fails is
 * undone at once. Whether all are down now.
 */
export function stopServices(
  names: readonly string[],
  hold: boolean,
  purpose: string,
  { instance, isSimulated, tell }: Pick<Context, 'instance' | 'isSimulated' | 'tell'>,
): boolean {
  const by = manager();
  const survey = by.survey(names);
  for (const { reason, remedy } of survey.problems) tell(`${reason}, nothing was stopped (${remedy})`);
  if (survey.problems.length > 0) return false;
  const list = survey.stop.join(', ');
  if (isSimulated) {
    if (list !== '') tell(`would stop ${list} for the ${purpose}`);
    return true;
  }
  const state = stateOf(instance);
  // Services of an earlier backup, which could not be started then.
  const earlier = state.load();
  const union = (before: readonly string[] = [], now: readonly string[]): string[] => [
    ...new Set([...before, ...now]),
  ];
  const stopped = {
    units: union(earlier?.units, survey.running),
    held: hold ? union(earlier?.held, survey.hold) : [...(earlier?.held ?? [])],
  };
  if (stopped.units.length === 0 && stopped.held.length === 0) return true;
  state.save(stopped);
  const failures = stopWith(by, survey.stop, hold ? stopped.held : [], instance);
  if (failures.length === 0) {
    if (list !== '') tell(`stopped ${list} for the ${purpose}`);
    return true;
  }
  for (const failure of failures) tell(`could not stop all of ${list}: ${failure}`);
  startServices({ instance, isSimulated, tell });
  return false;
}

function stopWith(
  by: Manager,
  units: readonly string[],
  held: readonly string[],
  instance: string,
): readonly string[] {
  try {
    if (held.length > 0) by.hold(instance, held);
    return by.stop(units);
  } catch (error) {
    return [error instanceof Error ? error.message : String(error)];
  }
}

/** Starts what `stopServices` noted for the hook of that name. Whether all of it runs; nothing noted is fine and silent. */
export function startServices({
  instance,
  isSimulated,
  tell,
}: Pick<Context, 'instance' | 'isSimulated' | 'tell'>): boolean {
  const state = stateOf(instance);
  const stopped = state.load();
  if (stopped === undefined) return true;
  if (isSimulated) {
    tell(`would start ${stopped.units.join(', ')} again`);
    return true;
  }
  const by = manager();
  by.release(instance);
  const failed = by.start(stopped.units);
  const started = stopped.units.filter(unit => !failed.some(each => each.unit === unit));
  if (started.length > 0) tell(`started ${started.toSorted().join(', ')} again`);
  for (const { unit, isOwed, reason, journal } of failed) {
    tell(isOwed ? `could not start ${unit} again, tried twice: ${reason}` : `${unit} ${reason}`);
    for (const line of journal) tell(`  ${line}`);
    if (isOwed)
      tell(`  it stays noted: 'tklbam-hooks recover' and the next backup try again, or start it yourself`);
  }
  const owed = failed.filter(({ isOwed }) => isOwed).map(({ unit }) => unit);
  by.forget(instance, stopped.held);
  if (owed.length === 0) state.remove();
  else state.save({ units: owed, held: [] });
  return owed.length === 0;
}

export const isServiceUp = (name: string): boolean => manager().isUp(name);

/** Starts a service that does not run, whoever stopped it. Whether it runs. */
export function startIfDown(name: string, { tell }: Pick<Context, 'tell'>): boolean {
  if (isServiceUp(name)) return true;
  const failed = manager().start([name]);
  for (const { unit, reason } of failed) tell(`could not start ${unit}: ${reason}`);
  return failed.length === 0;
}

const stateOf = (instance: string): State<Stopped> =>
  openState<Stopped>(RUN_DIRECTORY, instance, value => {
    if (typeof value !== 'object' || value === null || !('units' in value && 'held' in value))
      return undefined;
    const { units, held } = value;
    return isStrings(units) && isStrings(held) ? { units, held } : undefined;
  });

/** As sd_booted(3) tells whether systemd runs. */
const manager = (): Manager =>
  attempt(() => statSync('/run/systemd/system').isDirectory()) === true ? systemd : sysvinit;
