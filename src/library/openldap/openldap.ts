// `openldap`: the configuration of slapd and each of its databases as LDIF. A restore has slapadd(8) make new files of them beside the old
// ones, which they take the place of while slapd is down.
import { closeSync, openSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { escapeControls } from '../../cli/text.ts';
import { attempt } from '../../system/errno.ts';
import {
  type Database,
  type Entry,
  type Item,
  type PathOf,
  type Restore,
  type Survey,
  surveyFailed,
} from '../database/database.ts';
import { databaseHook } from '../database/hook.ts';
import { note, noted } from '../database/note.ts';
import { roomProblems } from '../database/room.ts';
import { startAgain, stopFor } from '../database/service.ts';
import { isNamed } from '../database/settings.ts';
import {
  allAs,
  as,
  beforeIn,
  freshIn,
  isThere,
  makeFresh,
  removeBefore,
  removeFresh,
  type Swap,
  swapBack,
  swapIn,
  userName,
} from '../database/swap.ts';
import type { Problem, Values } from '../hook.ts';
import { isServiceUp, servicesProblems } from '../services/services.ts';
import { hasTool, run, runTool } from '../tool.ts';
import { type Backend, backendsOf, unfold, withDirectories } from './ldif.ts';

const database: Database = {
  kind: 'openldap',
  settings: {},
  suffix: '.ldif',
  survey,
  dump,
  verify,
  obstacles,
  load,
  switchOver,
  switchBack,
  finish,
  dropOld,
  whereOld,
};
export const openldap = databaseHook(database);

const CONFIG = '/etc/ldap/slapd.d';
/** The name of the configuration among the databases; it has the number 0. */
const CONFIG_NAME = 'cn=config';
const SERVICE = 'slapd';

function survey(values: Values): Survey {
  if (!hasTool('slapcat'))
    return surveyFailed({ reason: 'slapcat is not installed', remedy: 'apt install slapd' });
  const config = readConfig(CONFIG);
  if (typeof config === 'object') return surveyFailed(config);
  const items = [
    { name: CONFIG_NAME, facts: { number: '0', directory: CONFIG } },
    ...backendsOf(config).map(({ number, suffix, directory }) => ({
      name: suffix,
      facts: { number, directory },
    })),
  ];
  const [, version = ''] = /slapd (\d[\d.]*)/.exec(runTool('slapd', '-VV').stderr) ?? [];
  return { items: items.filter(item => isNamed(values, item)), problems: [], server: `OpenLDAP ${version}` };
}

/** The configuration in a directory, as LDIF, unfolded. */
function readConfig(directory: string): string | Problem {
  const user = ownerOf(directory);
  if (user === undefined)
    return {
      reason: `there is no configuration in ${directory}`,
      remedy: "make it of slapd.conf: 'slaptest -f … -F …'",
    };
  const { status, stdout, reason } = as(user, { name: 'slapcat', args: ['-F', directory, '-n', '0'] });
  return status === 0
    ? unfold(stdout)
    : { reason: `slapcat -n 0: ${reason}`, remedy: 'mend the configuration' };
}

/** Whose the directory is, by name. */
function ownerOf(directory: string): string | undefined {
  const uid = attempt(() => statSync(directory).uid);
  return uid === undefined ? undefined : userName(uid);
}

function dump({ name, facts }: Item, fd: number): ReturnType<Database['dump']> {
  const user = ownerOf(CONFIG) ?? 'root';
  // What is below another database of its own is dumped with that (-g).
  const args = ['-F', CONFIG, '-n', facts.number ?? '', ...(name === CONFIG_NAME ? [] : ['-g'])];
  const { status, reason } = as(user, { name: 'slapcat', args, stdout: fd });
  if (status !== 0) return { reason: `slapcat: ${reason}`, remedy: `try 'slapcat -n ${facts.number}'` };
  const entries = count('/dev/stdin', fd);
  return typeof entries === 'object' ? entries : { facts: { entries: `${entries}` } };
}

/** How many entries an LDIF has that is whole. */
function count(path: string, stdin?: number): number | Problem {
  const args = ['-c', '^dn:', '--', path];
  const { status, stdout, reason } = run({
    name: 'grep',
    args,
    isReader: true,
    ...(stdin === undefined ? {} : { stdin }),
  });
  return status === 0
    ? Number(stdout)
    : { reason: status === 1 ? 'it has no entry' : reason, remedy: 'see whether slapd has any' };
}

function verify(path: string, { facts }: Item): Problem | undefined {
  const entries = count(path);
  if (typeof entries === 'object') return entries;
  const end = run({ name: 'tail', args: ['-c', '2', '--', path], isReader: true }).stdout;
  if (`${entries}` === facts.entries && end === '\n\n') return undefined;
  return { reason: `it is not whole: ${entries} entries of ${facts.entries}`, remedy: 'take another backup' };
}

/** Where each dump is to go. */
interface Target {
  readonly entry: Entry;
  readonly number: string;
  readonly directory: string;
  readonly user: string;
}

/** By the configuration that slapd will have: the one that is restored, or if it is not among the dumps, the one that is there. */
function targetsOf(
  { entries }: Restore,
  pathOf: PathOf,
): { readonly config: string; readonly targets: Target[] } | Problem {
  const dumped = entries.find(({ name }) => name === CONFIG_NAME);
  const config = dumped === undefined ? readConfig(CONFIG) : unfold(readFileSync(pathOf(dumped), 'utf8'));
  if (typeof config === 'object') return config;
  const backends: Backend[] = [
    { number: '0', suffix: CONFIG_NAME, directory: CONFIG },
    ...backendsOf(config),
  ];
  const targets: Target[] = [];
  for (const entry of entries) {
    const found = backends.find(({ suffix }) => suffix === entry.name);
    if (found === undefined)
      return { reason: `slapd has no database ${entry.name}`, remedy: `restore ${CONFIG_NAME} too` };
    const user = ownerOf(found.directory);
    if (user === undefined)
      return {
        reason: `there is no directory ${found.directory}`,
        remedy: 'make it, and give it to the user of slapd',
      };
    targets.push({ entry, number: found.number, directory: found.directory, user });
  }
  return { config, targets };
}

function obstacles(restore: Restore, pathOf: PathOf): readonly Problem[] {
  if (!hasTool('slapadd')) return [{ reason: 'slapadd is not installed', remedy: 'apt install slapd' }];
  const found = targetsOf(restore, pathOf);
  if ('reason' in found) return [found];
  const crowded = found.targets.flatMap(({ entry, directory }) =>
    // With its indexes, and to see that all of it is there.
    roomProblems(directory, entry.size * 4),
  );
  return [...crowded, ...servicesProblems([SERVICE])];
}

interface Noted {
  /** Whether slapd ran when the restore began: it need not. */
  readonly isUp: boolean;
  readonly swaps: readonly Swap[];
}

function load(restore: Restore, pathOf: PathOf): Problem | undefined {
  const found = targetsOf(restore, pathOf);
  if ('reason' in found) return found;
  if (restore.entries.length === 0) return undefined;
  const { config, targets } = found;
  const swap = ({ directory, user }: Target, names: readonly string[]): Swap => ({
    directory,
    user,
    id: restore.id,
    names,
  });
  const isUp = isServiceUp(SERVICE);
  // Known before anything is made, for who has to take it back.
  note<Noted>(restore, pathOf, { isUp, swaps: targets.map(each => swap(each, [])) });
  const elsewhere = new Map(
    targets.map(each => [each.number, freshIn({ directory: each.directory, id: restore.id })]),
  );
  // All of them first: a configuration with a directory that is not there is none.
  for (const target of targets) {
    const problem = makeFresh(swap(target, []));
    if (problem !== undefined) return problem;
  }
  for (const target of targets) {
    const fresh = freshIn({ directory: target.directory, id: restore.id });
    const problem =
      target.number === '0'
        ? add(target, fresh, '0', pathOf(target.entry))
        : loadData(target, fresh, withDirectories(config, elsewhere), pathOf(target.entry));
    if (problem !== undefined) return problem;
  }
  const names = (directory: string): string[] =>
    readdirSync(directory).filter(name => !/^\.tklbam-hooks-new-|^before-/.test(name));
  const swaps = targets.map(each => {
    const fresh = freshIn({ directory: each.directory, id: restore.id });
    return swap(each, [...new Set([...names(each.directory), ...names(fresh)])]);
  });
  note<Noted>(restore, pathOf, { isUp, swaps });
  return undefined;
}

/** Its files are to be in `fresh` alone: a configuration that says so goes with them meanwhile. */
function loadData(target: Target, fresh: string, config: string, path: string): Problem | undefined {
  const [directory, file] = [`${fresh}/.config`, `${fresh}/.config.ldif`];
  const { user } = target;
  const written = as(user, { name: 'dd', args: [`of=${file}`, 'status=none'], stdin: config });
  if (written.status !== 0) return { reason: written.reason, remedy: `make room in ${target.directory}` };
  const made =
    allAs(
      user,
      ['mkdir', '-m', '700', '--', directory],
      ['slapadd', '-F', directory, '-n', '0', '-l', file],
    ) ?? add(target, directory, target.number, path, '-g');
  if (made !== undefined) return made;
  const check = `${fresh}/.check`;
  const problem = allAs(user, ['slapcat', '-F', directory, '-g', '-n', target.number, '-l', check]);
  if (problem !== undefined) return problem;
  const loaded = as(user, { name: 'grep', args: ['-c', '^dn:', '--', check] }).stdout.trim();
  const wanted = target.entry.facts.entries;
  if (loaded !== wanted)
    return { reason: `${loaded} entries were loaded, and not ${wanted}`, remedy: 'take another backup' };
  return allAs(user, ['rm', '-rf', '--', directory, file, check]);
}

function add(
  { entry, user }: Target,
  config: string,
  number: string,
  path: string,
  ...more: readonly string[]
): Problem | undefined {
  const stdin = openSync(path, 'r');
  try {
    const { status, reason } = as(user, {
      name: 'slapadd',
      args: ['-F', config, '-n', number, ...more],
      stdin,
    });
    return status === 0
      ? undefined
      : {
          reason: `slapadd of ${entry.name}: ${reason}`,
          remedy: 'make room, or take the dump of a slapd like this one',
        };
  } finally {
    closeSync(stdin);
  }
}

function switchOver(restore: Restore, _values: Values, pathOf: PathOf): Problem | undefined {
  return whileDown(restore, pathOf, swapIn);
}

function switchBack(restore: Restore, _values: Values, pathOf: PathOf): Problem | undefined {
  return whileDown(restore, pathOf, swapBack);
}

function whileDown(
  restore: Restore,
  pathOf: PathOf,
  work: (swap: Swap) => Problem | undefined,
): Problem | undefined {
  const { isUp, swaps } = noted<Noted>(restore, pathOf) ?? { isUp: false, swaps: [] };
  const stopped = swaps.length === 0 ? undefined : stopFor(restore.id, SERVICE);
  if (stopped !== undefined) return stopped;
  for (const swap of swaps) {
    const problem = work(swap);
    if (problem !== undefined) return problem;
  }
  return isUp ? startAgain(restore.id, SERVICE) : undefined;
}

/** Where dumps have gone, by the configuration that there is now. */
function places({ id, entries }: Restore): readonly Omit<Swap, 'names'>[] {
  const config = readConfig(CONFIG);
  if (typeof config === 'object') return [];
  return [{ suffix: CONFIG_NAME, directory: CONFIG }, ...backendsOf(config)].flatMap(
    ({ suffix, directory }) => {
      const user = entries.some(({ name }) => name === suffix) ? ownerOf(directory) : undefined;
      return user === undefined ? [] : [{ directory, user, id }];
    },
  );
}

const firstProblem = (problems: readonly (Problem | undefined)[]): Problem | undefined =>
  problems.find(each => each !== undefined);

function finish(restore: Restore): Problem | undefined {
  return firstProblem(places(restore).map(removeFresh));
}

function dropOld(restore: Restore): Problem | undefined {
  return firstProblem(places(restore).map(removeBefore));
}

function whereOld(restore: Restore): string | undefined {
  const all = places(restore).map(beforeIn).filter(isThere);
  return all.length === 0 ? undefined : escapeControls(all.join(', '));
}
