// What `systemctl show` says of units, and what follows from it. Pure.

/** Properties of org.freedesktop.systemd1(5), as far as they matter here. */
export interface Unit {
  /** Its real name: mysql.service is mariadb.service. */
  readonly id: string;
  readonly loadState: string;
  readonly activeState: string;
  readonly subState: string;
  readonly type: string;
  readonly result: string;
  /** Who is ended with it: its whole cgroup, unless it is `process` or `none`. */
  readonly killMode: string;
  /** What is stopped with it, or would start it. */
  readonly dependents: readonly string[];
  /** What it would start. */
  readonly triggers: readonly string[];
}

/**
 * Units that systemd stops together with one (its UNIT_ATOM_PROPAGATE_STOP), and those that start it when something happens.
 * Starting it brings none of them back. PropagatesStopTo is of systemd 249; an older one passes over what it does not know.
 */
const DEPENDENTS = ['RequiredBy', 'RequisiteOf', 'BoundBy', 'ConsistsOf', 'PropagatesStopTo', 'TriggeredBy'];

export const PROPERTIES = [
  ...['Id', 'LoadState', 'ActiveState', 'SubState', 'Type', 'Result', 'KillMode', 'Triggers'],
  ...DEPENDENTS,
].join(',');

/** The output of systemctl show: a block of NAME=VALUE for each unit, with an empty line between two. */
export function parseUnits(text: string): Unit[] {
  return text
    .split(/\n\n+/)
    .map(block => new Map(block.split('\n').map(line => cut(line))))
    .filter(found => found.get('Id') !== undefined)
    .map(found => ({
      id: found.get('Id') ?? '',
      loadState: found.get('LoadState') ?? '',
      activeState: found.get('ActiveState') ?? '',
      subState: found.get('SubState') ?? '',
      type: found.get('Type') ?? '',
      result: found.get('Result') ?? '',
      killMode: found.get('KillMode') ?? '',
      dependents: DEPENDENTS.flatMap(name => (found.get(name) ?? '').split(' ').filter(Boolean)),
      triggers: (found.get('Triggers') ?? '').split(' ').filter(Boolean),
    }));
}

function cut(line: string): [string, string] {
  const at = line.indexOf('=');
  return [line.slice(0, at), line.slice(at + 1)];
}

/** The units, and all that depends on them, however far. `show` gives the units of those names. */
export function closure(
  names: readonly string[],
  show: (names: readonly string[]) => readonly Unit[],
): Unit[] {
  const found = new Map<string, Unit>();
  const asked = new Set<string>(names);
  for (let next = [...names]; next.length > 0; ) {
    const units = show(next);
    for (const unit of units) found.set(unit.id, unit);
    next = [...new Set(units.flatMap(({ dependents }) => dependents))].filter(name => !asked.has(name));
    for (const name of next) asked.add(name);
  }
  return [...found.values()];
}

/** It runs, or is about to. One that is just being stopped is not to be started again. */
export const isUp = ({ activeState }: Unit): boolean =>
  ['active', 'activating', 'reloading', 'refreshing'].includes(activeState);

/** It has come to rest. */
export const isDown = ({ activeState }: Unit): boolean =>
  activeState === 'inactive' || activeState === 'failed';

/** Started as it is meant to be: it runs and is not waiting for its next attempt, or it was to run once and has. */
export function isStarted(unit: Unit): boolean {
  if (unit.subState === 'auto-restart' || unit.subState === 'auto-restart-queued') return false;
  if (isUp(unit)) return true;
  return unit.activeState === 'inactive' && unit.type === 'oneshot' && unit.result === 'success';
}

/** What starts other units: to be stopped first and apart, since a pending connection would start the service again. */
export const isTrigger = (id: string): boolean => /\.(?:socket|timer|path|automount)$/.test(id);

export const isTarget = (id: string): boolean => id.endsWith('.target');

/** The unit of these whose end would be that of the process too; `cgroup` is its /proc/PID/cgroup. */
export function unitAround(cgroup: string, units: readonly Unit[]): Unit | undefined {
  const parts = new Set(cgroup.split('\n').flatMap(line => line.split(':').slice(2).join(':').split('/')));
  return units.find(({ id, killMode }) => parts.has(id) && killMode !== 'process' && killMode !== 'none');
}

const SUFFIXES = /\.(?:service|socket|timer|path|target|mount|automount|swap|slice|scope|device)$/;

/** As systemctl(1) completes it. */
export const unitName = (word: string): string => (SUFFIXES.test(word) ? word : `${word}.service`);
