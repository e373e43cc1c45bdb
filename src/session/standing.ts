// How the last session of each operation and name ended, and the last one that succeeded, however old: in a file that the group adm may read,
// as it may read logs, and that holds nothing of what hooks say.
import { chmodSync, chownSync, closeSync, constants, openSync } from 'node:fs';
import { isLater } from '../report/history.ts';
import { replaceDurably } from '../system/durable-file.ts';
import { attempt, describeErrno } from '../system/errno.ts';
import { isObject } from '../system/json.ts';
import { machineId } from '../system/machine.ts';
import { readTrusted } from '../system/trust.ts';
import type { HookEntry, SessionEntry, Standing } from '../types.ts';
import { flock } from './flock.ts';

const VERSION = 1;

/** The group of those who may read logs, which has this number on every Debian (base-passwd). */
const ADM = 4;

/** Names that were used once are not kept for ever. */
const MOST = 50;

const standingsPath = (stateDirectory: string): string => `${stateDirectory}/status.json`;

/** What is known, newest first; none if there is no such file, or it is of another machine. A clause, if it cannot be read. */
export function readStandings(stateDirectory: string): readonly Standing[] | string {
  const reading = readTrusted(standingsPath(stateDirectory));
  switch (reading.kind) {
    case 'text':
      return understand(attempt(() => JSON.parse(reading.text))) ?? 'it cannot be understood';
    case 'absent':
      return [];
    case 'not-a-file':
      return 'it is no file';
    case 'refused':
      return 'others than root can write it';
    case 'error':
      return describeErrno(reading.code);
  }
}

function understand(found: unknown): Standing[] | undefined {
  if (!isObject(found) || found.version !== VERSION || !Array.isArray(found.standings)) return undefined;
  const here = machineId();
  if (found.machine !== null && here !== null && found.machine !== here) return [];
  return found.standings.every(isStanding) ? found.standings : undefined;
}

const isStanding = (value: unknown): value is Standing =>
  isObject(value) &&
  [value.operation, value.name].every(each => typeof each === 'string') &&
  isEnd(value.last) &&
  Array.isArray(value.hooks) &&
  value.hooks.every(
    each => isObject(each) && typeof each.hook === 'string' && typeof each.seconds === 'number',
  ) &&
  typeof value.owed === 'number' &&
  (value.success === null || isEnd(value.success));

const isEnd = (value: unknown): boolean =>
  isObject(value) &&
  [value.session, value.time, value.ended].every(each => typeof each === 'string') &&
  typeof value.seconds === 'number';

/** Brings it up to date with how a session ended. What fails is of no consequence to that: it is in the log. */
export function updateStandings(
  stateDirectory: string,
  entry: SessionEntry,
  hooks: readonly HookEntry[],
): readonly Standing[] | undefined {
  return attempt(() => {
    // Attempts that are turned away have no lock of a session.
    const directory = openSync(stateDirectory, constants.O_RDONLY | constants.O_DIRECTORY);
    try {
      if (flock([directory], 2) === 0) return undefined;
      const before = readStandings(stateDirectory);
      const standings = fold(
        typeof before === 'string' ? [] : before,
        entry,
        hooks,
        new Date().toISOString(),
      );
      const path = standingsPath(stateDirectory);
      replaceDurably(
        path,
        () => `${JSON.stringify({ version: VERSION, machine: machineId(), standings })}\n`,
      );
      if (process.geteuid?.() === 0) {
        chownSync(path, 0, ADM);
        chmodSync(path, 0o640);
      }
      return standings;
    } finally {
      closeSync(directory);
    }
  });
}

/** Whatever the order in which the ends of sessions come. Pure. */
export function fold(
  standings: readonly Standing[],
  entry: SessionEntry,
  hooks: readonly HookEntry[],
  ended: string,
): readonly Standing[] {
  const { operation, session, time, outcome, seconds, error, owed = 0 } = entry;
  if (entry.trial && owed === 0 && !isLater(entry)) return standings;
  const name = entry.name ?? '';
  const before = standings.find(each => each.operation === operation && each.name === name);
  const others = standings.filter(each => each !== before);
  if (isLater(entry)) {
    return before?.last.session === session ? [{ ...before, owed }, ...others] : standings;
  }
  const last = { session, time, ended, outcome, seconds, error };
  const isNewer = before === undefined || time >= before.last.time;
  const success = before?.success ?? null;
  const next: Standing = {
    ...(isNewer || before === undefined ? { operation, name, last, owed, hooks: sum(hooks) } : before),
    success: outcome === 'succeeded' && (success === null || time >= success.time) ? last : success,
  };
  return [next, ...others].slice(0, MOST);
}

/** Of all its states; that it succeeded means in each. */
function sum(entries: readonly HookEntry[]): Standing['hooks'] {
  const names = [...new Set(entries.map(({ hook }) => hook))];
  return names.map(hook => {
    const own = entries.filter(each => each.hook === hook);
    return {
      hook,
      hasSucceeded: own.every(({ outcome }) => outcome === 'succeeded'),
      seconds: Math.round(own.reduce((total, each) => total + each.seconds, 0) * 1000) / 1000,
    };
  });
}
