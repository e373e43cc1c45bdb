// Services under systemd(1).

import { mkdirSync, readFileSync, rmdirSync, unlinkSync, writeFileSync } from 'node:fs';
import { escapeControls } from '../../cli/text.ts';
import { attempt } from '../../system/errno.ts';
import { elapsedMs } from '../../system/machine.ts';
import type { Problem } from '../hook.ts';
import { RUN_DIRECTORY } from '../state.ts';
import { pause, runTool } from '../tool.ts';
import type { Manager, NotStarted, Survey } from './manager.ts';
import {
  closure,
  isDown,
  isStarted,
  isTarget,
  isTrigger,
  isUp,
  PROPERTIES,
  parseUnits,
  type Unit,
  unitAround,
  unitName,
} from './units.ts';

/** What a unit needs to fail that could not be seen at its start. */
const SECOND_LOOK_MS = 1500;
/** A unit that was not stopped by our own command, such as an instance behind a wrapper, may still be at it. */
const STOPPING_MS = 30_000;
const JOURNAL_LINES = 10;

export const systemd: Manager = {
  survey,
  isUp: name => show([unitName(name)]).every(isUp),
  hold: (instance, units) => {
    for (const unit of units) {
      mkdirSync(dropInDirectory(unit), { recursive: true, mode: 0o755 });
      writeFileSync(dropIn(unit, instance), heldWhile(holdFile(instance)), { mode: 0o644 });
    }
    systemctl('daemon-reload');
    writeFileSync(holdFile(instance), '', { mode: 0o600 });
  },
  release: instance => {
    attempt(() => unlinkSync(holdFile(instance)));
  },
  forget: (instance, units) => {
    for (const unit of units) {
      attempt(() => unlinkSync(dropIn(unit, instance)));
      attempt(() => rmdirSync(dropInDirectory(unit)));
    }
    if (units.length > 0) systemctl('daemon-reload');
  },
  stop,
  start,
};

function survey(names: readonly string[]): Survey {
  const asked = show(names.map(unitName));
  const problems = asked.flatMap(({ id, loadState }): Problem[] => {
    switch (loadState) {
      case 'loaded':
      case 'masked':
        return [];
      case 'not-found':
        return [{ reason: `there is no unit ${id}`, remedy: "see 'systemctl list-units --all'" }];
      default:
        return [
          { reason: `unit ${id} cannot be loaded: ${loadState}`, remedy: `see 'systemctl status ${id}'` },
        ];
    }
  });
  const units =
    problems.length > 0
      ? []
      : closure(
          asked.map(({ id }) => id),
          show,
        );
  const around = unitAround(attempt(() => readFileSync('/proc/self/cgroup', 'utf8')) ?? '', units);
  if (around !== undefined) {
    const reason = `we run in ${around.id}, which would be stopped with them`;
    problems.push({ reason, remedy: 'call us from elsewhere, or leave them out' });
  }
  const ids = units
    .filter(unit => !isDown(unit))
    .map(({ id }) => id)
    .sort();
  return {
    problems,
    stop: [...ids.filter(isTrigger), ...ids.filter(id => !isTrigger(id))],
    running: units.filter(isUp).map(({ id }) => id),
    // A target is only a name for others, and a unit that is not asked for and does not run is nobody's concern.
    hold: units
      .filter(unit => !isTarget(unit.id) && (isUp(unit) || asked.some(({ id }) => id === unit.id)))
      .map(({ id }) => id),
  };
}

function stop(units: readonly string[]): readonly string[] {
  // First and apart: while the service is being stopped, a pending connection would start it again.
  const groups = [units.filter(isTrigger), units.filter(id => !isTrigger(id))].filter(
    group => group.length > 0,
  );
  const failures = groups.flatMap(group => {
    const { status, reason } = runTool('systemctl', 'stop', '--', ...group);
    return status === 0 ? [] : [reason];
  });
  if (failures.length > 0 || units.length === 0) return failures;
  const end = elapsedMs() + STOPPING_MS;
  for (;;) {
    const left = show(units).filter(unit => !isDown(unit));
    if (left.length === 0) return [];
    if (elapsedMs() > end) {
      return left.map(
        ({ id, activeState }) => `${id} is ${activeState} again, or still: something else starts it`,
      );
    }
    pause(200);
  }
}

function start(units: readonly string[]): readonly NotStarted[] {
  const first = startOnce(units);
  // The limit of starts in a short time, which a unit that failed may have reached, holds for us as well.
  if (first.some(({ isOwed }) => isOwed)) {
    const owed = first.filter(({ isOwed }) => isOwed).map(({ unit }) => unit);
    runTool('systemctl', 'reset-failed', '--', ...owed);
    return [...first.filter(({ isOwed }) => !isOwed), ...startOnce(owed)];
  }
  return first;
}

function startOnce(units: readonly string[]): readonly NotStarted[] {
  if (units.length === 0) return [];
  const known = show(units);
  const gone = known.filter(({ loadState }) => loadState === 'not-found' || loadState === 'masked');
  const wanted = known.map(({ id }) => id).filter(id => !gone.some(unit => unit.id === id));
  const sockets = known.filter(
    unit => unit.id.endsWith('.socket') && wanted.includes(unit.id) && !isUp(unit),
  );
  // A socket is refused while its service runs, as one does that was not stopped yet when we were cut off.
  const inTheWay = show(sockets.flatMap(({ triggers }) => triggers)).filter(isUp);
  if (inTheWay.length > 0) runTool('systemctl', 'stop', '--', ...inTheWay.map(({ id }) => id));
  const triggers = wanted.filter(isTrigger);
  const targets = wanted.filter(isTarget);
  const rest = wanted.filter(id => !isTrigger(id) && !isTarget(id));
  // Each kind in one command, so that systemd sees to the order; but the jobs of a command are queued one by one, and a service
  // that comes first is in the way of its socket.
  const reason = [
    ['start', '--', ...triggers],
    ['start', '--', ...new Set([...rest, ...inTheWay.map(({ id }) => id)])],
    // A target would start all that it wants, also what the administrator had stopped.
    ['start', '--job-mode=ignore-dependencies', '--', ...targets],
  ]
    .filter(words => words.at(-1) !== '--')
    .map(words => runTool('systemctl', ...words))
    .filter(({ status }) => status !== 0)
    .map(each => each.reason)
    .join(', ');
  pause(SECOND_LOOK_MS);
  const failed = (wanted.length === 0 ? [] : show(wanted)).filter(unit => !isStarted(unit));
  return [
    ...gone.map(({ id, loadState }) => {
      const why = loadState === 'masked' ? 'was masked meanwhile' : 'is no longer there';
      return { unit: id, isOwed: false, reason: `${why}, leaving it stopped`, journal: [] };
    }),
    ...failed.map(unit => ({
      unit: unit.id,
      isOwed: true,
      reason: describe(unit, reason),
      journal: journal(unit.id),
    })),
  ];
}

const describe = ({ activeState, subState, result }: Unit, reason: string): string =>
  [
    `it is ${activeState} (${subState})`,
    ...(result === 'success' || result === '' ? [reason] : [`result: ${result}`]),
  ]
    .filter(text => text !== '')
    .join(', ');

const journal = (unit: string): string[] =>
  runTool(
    'journalctl',
    '--quiet',
    '--no-pager',
    '--boot',
    `--lines=${JOURNAL_LINES}`,
    '--output=short',
    `--unit=${unit}`,
  )
    .stdout.split('\n')
    .filter(line => line !== '')
    .map(escapeControls);

function show(names: readonly string[]): Unit[] {
  if (names.length === 0) return [];
  const { status, stdout, reason } = runTool('systemctl', 'show', `--property=${PROPERTIES}`, '--', ...names);
  if (status !== 0) throw new Error(`systemctl show: ${reason}`);
  // Two names of one unit give it twice.
  return [...new Map(parseUnits(stdout).map(unit => [unit.id, unit])).values()];
}

function systemctl(...args: readonly string[]): void {
  const { status, reason } = runTool('systemctl', ...args);
  if (status !== 0) throw new Error(`systemctl ${args.join(' ')}: ${reason}`);
}

/** `systemctl mask --runtime` is without effect on units in /etc; a drop-in holds those too. */
const heldWhile = (file: string): string =>
  `# Of tklbam-hooks(8): held while a backup or a restore goes on.\n[Unit]\nConditionPathExists=!${file}\n`;

const holdFile = (instance: string): string => `${RUN_DIRECTORY}/${instance}.hold`;
const dropInDirectory = (unit: string): string => `/run/systemd/system/${unit}.d`;
const dropIn = (unit: string, instance: string): string =>
  `${dropInDirectory(unit)}/tklbam-hooks-${instance}.conf`;
