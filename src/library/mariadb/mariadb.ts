// `mariadb`: each database in a dump of its own, and the users of the server. A restore copies the data directory while the server is down,
// has a second server load the dumps into the copy, and puts that in the place of the directory, in which nothing is changed.
import {
  closeSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  statSync,
} from 'node:fs';
import { basename, dirname } from 'node:path';
import { escapeControls, listed } from '../../cli/text.ts';
import { describePathRefusal } from '../../report/verdicts.ts';
import { attempt } from '../../system/errno.ts';
import { commOf } from '../../system/proc.ts';
import { pathRefusal } from '../../system/trust.ts';
import {
  type Database,
  type Entry,
  type Item,
  isProblem,
  type PathOf,
  type Restore,
  type Survey,
  surveyFailed,
} from '../database/database.ts';
import { databaseHook } from '../database/hook.ts';
import { note, noted } from '../database/note.ts';
import { roomProblems } from '../database/room.ts';
import { startAgain, stopFor } from '../database/service.ts';
import { isNamed, matches } from '../database/settings.ts';
import {
  as,
  beforeIn,
  endWorkersIn,
  isThere,
  removeBefore,
  removeFresh,
  swapBack,
  swapIn,
  userName,
  workersIn,
} from '../database/swap.ts';
import type { Problem, Values } from '../hook.ts';
import { oneService, servicesProblems } from '../services/services.ts';
import { absolutePath, words } from '../settings.ts';
import { type Ended, hasTool, pause, run, runTool } from '../tool.ts';
import { type Access, accessOf, OWN_DATABASES, query } from './client.ts';
import { copyIn, dataOf, isUsers, loadBeside, type Server } from './second-server.ts';
import { END_OF_DUMP, isOlder } from './text.ts';

const database: Database = {
  kind: 'mariadb',
  settings: { SERVICE: oneService, DEFAULTS_FILE: absolutePath },
  suffix: '.sql',
  isAlwaysWanted: isUsers,
  survey,
  dump,
  verify,
  obstacles,
  load,
  switchOver,
  switchBack,
  serve,
  finish,
  dropOld,
  whereOld,
};
export const mariadb = databaseHook(database);

const serviceOf = ({ SERVICE = 'mariadb' }: Values): string => SERVICE;

/** How the survey was let in: to ask again takes as long as to dump a small database, of which there may be a thousand. */
let surveyed: Access | undefined;

function survey(values: Values): Survey {
  const access = accessOf(values);
  if (isProblem(access)) return surveyFailed(access);
  const [[version = '', foldsCase = ''] = []] = query(access, 'select version(), @@lower_case_table_names');
  // As far as it has been tried: its users, for one, are dumped otherwise.
  if (!/mariadb/i.test(version))
    return surveyFailed({
      reason: `this is no MariaDB: ${version}`,
      remedy: "use the hook 'services' or 'snapshot' instead",
    });
  const shared = { foldsCase };
  surveyed = access;
  const sizes = new Map(
    query(
      access,
      `select min(table_schema), sum(coalesce(data_length, 0) + coalesce(index_length, 0)) from information_schema.tables
        where table_schema not in (${OWN_DATABASES}) group by binary table_schema`,
    ).map(([name = '', bytes = '0']) => [name, bytes]),
  );
  const all = query(
    access,
    `select schema_name from information_schema.schemata where schema_name not in (${OWN_DATABASES}) order by binary schema_name`,
  ).map(
    ([name = '']): Item => ({ name, facts: { ...shared, database: name, bytes: sizes.get(name) ?? '0' } }),
  );
  const wanted = all.filter(item => isNamed(values, item));
  const items = wanted.filter(({ name }) => !isRawDirectory(name));
  // Of those without tables, most are none of the server's: .ssh.
  const left = wanted.filter(({ name }) => isRawDirectory(name) && sizes.has(name));
  const problems = words(values.DATABASES)
    .filter(word => word !== 'all' && !items.some(({ name }) => matches(word, name)))
    .map((word): Problem => ({ reason: `there is no database ${word}`, remedy: 'correct DATABASES' }));
  return {
    items: items.length === 0 ? [] : [{ name: '(users)', facts: { ...shared, what: 'users' } }, ...items],
    problems,
    warnings: [
      ...warningsOf(access, new Set(items.map(({ name }) => name))),
      ...left.map(
        ({ name }) =>
          `not dumped, for its directory is named as before MySQL 5.1 (ALTER DATABASE ... UPGRADE DATA DIRECTORY NAME): ${escapeControls(name)}`,
      ),
    ],
    server: `MariaDB ${version}`,
  };
}

/** Whether the server shows a directory whose name it would have written otherwise. */
const isRawDirectory = (name: string): boolean => name.startsWith('#mysql50#');

/** What a dump has of tables is not always what they are. */
function warningsOf(access: Access, databases: ReadonlySet<string>): string[] {
  const tables = query(
    access,
    `select table_schema, table_name, table_type, engine from information_schema.tables
      where table_schema not in (${OWN_DATABASES}) and (table_type = 'SYSTEM VERSIONED' or
      table_type = 'BASE TABLE' and engine <> 'InnoDB') order by 1, 2`,
  ).filter(([schema = '']) => databases.has(schema));
  const named = (those: string[][]): string =>
    escapeControls(listed(those.map(([schema, table]) => `${schema}.${table}`)));
  const versioned = tables.filter(([, , type]) => type === 'SYSTEM VERSIONED');
  const others = tables.filter(([, , , engine]) => engine !== 'InnoDB');
  return [
    ...(versioned.length > 0 ? [`dumped without their history: ${named(versioned)}`] : []),
    ...(others.length > 0
      ? [`not transactional, so that what is written meanwhile is dumped in part: ${named(others)}`]
      : []),
  ];
}

/** TRUNCATE and DROP do not wait for a dump, which fails then. */
const ATTEMPTS = 3;

function dump({ facts }: Item, fd: number, values: Values): ReturnType<Database['dump']> {
  const access = surveyed ?? accessOf(values);
  if (isProblem(access)) return access;
  const args = [
    ...[...access.args, '--skip-dump-date', '--default-character-set=utf8mb4', '--max-allowed-packet=1G'],
    ...(facts.what === 'users'
      ? ['--system=users', '--insert-ignore']
      : [
          ...['--single-transaction', '--quick', '--routines', '--events', '--triggers', '--hex-blob'],
          ...['--databases', '--', facts.database ?? ''],
        ]),
  ];
  let dumped = dumpTo(fd, access, args);
  for (let attempts = 1; dumped.status !== 0 && attempts < ATTEMPTS && isDisturbed(dumped); attempts += 1)
    dumped = dumpTo(fd, access, args);
  return dumped.status === 0
    ? { facts: {} }
    : { reason: dumped.reason, remedy: 'mend that, or name it in EXCLUDE' };
}

/** Table definition has changed, no such table, changed by concurrent DDL. */
const isDisturbed = ({ stderr }: Ended): boolean => /\b(?:1412|1146|1684)\b/.test(stderr);

/** From the beginning of the file, whatever an earlier attempt has written. */
function dumpTo(fd: number, { env }: Access, args: readonly string[]): Ended {
  const name = ['mariadb-dump', 'mysqldump'].find(hasTool) ?? 'mariadb-dump';
  const stdout = openSync(`/proc/self/fd/${fd}`, 'w');
  try {
    return run({ name, args, env, stdout, movesMuch: true });
  } finally {
    closeSync(stdout);
  }
}

function verify(path: string): Problem | undefined {
  const { stdout } = run({ name: 'tail', args: ['-n', '1', '--', path], isReader: true });
  return stdout === END_OF_DUMP
    ? undefined
    : { reason: 'it is not whole: its end is missing', remedy: 'take another backup' };
}

/** The server of the service, if it is on this machine and its data directory can be swapped. */
function running(access: Access): Server | Problem {
  const [[directory = '', host = '', user = '', client = ''] = []] = query(
    access,
    `select @@datadir, (select host from information_schema.processlist where id = connection_id()),
      substring_index(current_user(), '@', 1), substring_index(current_user(), '@', -1)`,
  );
  // As it names who comes by its socket.
  const data = host === 'localhost' ? attempt(() => realpathSync(directory)) : undefined;
  const pid = data === undefined ? undefined : serverIn(data);
  if (data === undefined || pid === undefined)
    return {
      reason: 'MariaDB does not run on this machine, or we do not come by its socket',
      remedy: 'restore where it runs',
    };
  const owner = userName(statSync(data).uid);
  if (owner === undefined)
    return { reason: `nobody has the number of the owner of ${data}`, remedy: 'chown it' };
  const args = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(1, -1);
  return {
    directory: dirname(data),
    user: 'root',
    names: [basename(data)],
    owner,
    program: ['mariadbd', 'mysqld'].find(hasTool) ?? 'mariadbd',
    args,
    account: { user, host: client },
  };
}

/** The process of a server is in its data directory. */
const serverIn = (data: string): number | undefined =>
  workersIn(data).find(pid => /^(?:mariadbd|mysqld)$/.test(commOf(`${pid}`)));

function obstacles({ entries, server }: Restore, _pathOf: PathOf, values: Values): readonly Problem[] {
  const found = survey({ ...values, DATABASES: 'all', EXCLUDE: '' });
  const access = accessOf(values);
  if (found.problems.length > 0 || isProblem(access)) return found.problems;
  if (isOlder(found.server, server))
    return [
      {
        reason: `the dumps are of ${server}, and this is the older ${found.server}`,
        remedy: 'install one that is not older',
      },
    ];
  const [[foldsCase = ''] = []] = query(access, 'select @@lower_case_table_names');
  if (entries.some(({ facts }) => facts.foldsCase !== foldsCase))
    return [
      {
        reason: `lower_case_table_names is ${foldsCase}, and was not where the dumps are from`,
        remedy: 'set up a server that has it so',
      },
    ];
  const now = running(access);
  return isProblem(now)
    ? [now]
    : [...servicesProblems([serviceOf(values)]), ...rivals(access), ...unfit(access, now, entries)];
}

/** Others that have the same data, and would not hear of the restore. */
function rivals(access: Access): Problem[] {
  const isReplica = query(access, 'show all slaves status').length > 0;
  const isInCluster = query(access, "show global variables like 'wsrep_on'").some(([, is]) => is === 'ON');
  return [
    ...(isReplica
      ? [{ reason: 'this server is a replica, and has what its primary has', remedy: 'restore the primary' }]
      : []),
    ...(isInCluster
      ? [
          {
            reason: 'this server is part of a cluster of Galera',
            remedy: 'restore a server of its own, and let it be the first',
          },
        ]
      : []),
  ];
}

/** Why its data directory cannot be copied and swapped as a whole. */
function unfit(access: Access, server: Server, entries: readonly Entry[]): readonly Problem[] {
  const data = dataOf(server);
  const { directory, owner } = server;
  const refusal = pathRefusal(directory);
  if (refusal !== undefined) return [describePathRefusal(refusal, directory)];
  if (runTool('mountpoint', '-q', '--', data).status === 0)
    return [
      {
        reason: `${data} is a mount point, and cannot be renamed`,
        remedy: 'have the data in a directory below one, and datadir say so',
      },
    ];
  const elsewhere = query(
    access,
    "show global variables where variable_name in ('innodb_data_home_dir', 'innodb_log_group_home_dir', 'innodb_undo_directory', 'aria_log_dir_path')",
  ).filter(
    ([, value = '']) =>
      !['', 'NULL', '.', './'].includes(value) && attempt(() => realpathSync(value)) !== data,
  );
  const args = [
    data,
    '(',
    '-type',
    'l',
    '-o',
    '-name',
    '*.isl',
    '-o',
    '!',
    '-readable',
    ')',
    '-print',
    '-quit',
  ];
  const odd = as(owner, { name: 'find', args }).stdout;
  const names = [...elsewhere.map(([name]) => name), ...(odd === '' ? [] : [odd.trim()])];
  if (names.length > 0)
    return [
      {
        reason: `files of the server are elsewhere, or not ${owner}'s to read: ${escapeControls(names.join(', '))}`,
        remedy: `have all of them in ${data}`,
      },
    ];
  const { stdout } = run({ name: 'du', args: ['-s', '-B1', '--', data] });
  const bytes = entries.reduce((sum, { size, facts }) => sum + Math.max(size, Number(facts.bytes ?? 0)), 0);
  return roomProblems(directory, Number.parseInt(stdout, 10) + bytes + (64 << 20));
}

function load(restore: Restore, pathOf: PathOf, values: Values): Problem | undefined {
  const service = serviceOf(values);
  const access = accessOf(values);
  if (restore.entries.length === 0) return undefined;
  if (isProblem(access)) return access;
  // Its configuration, which the restore may have brought, is that with which it will find what it is given.
  const restarted = stopFor(restore.id, service) ?? startAgain(restore.id, service) ?? answers(values);
  if (restarted !== undefined) return restarted;
  const server = running(access);
  if (isProblem(server)) return server;
  const [problem] = unfit(access, server, restore.entries);
  if (problem !== undefined) return problem;
  // Before it is noted: a service that is not that of the server is only started again.
  const stopped = stop(restore, server, values);
  if (stopped !== undefined) return stopped;
  note(restore, pathOf, server);
  return loadBeside(server, restore, pathOf);
}

/** Until nobody works with its data. That it does not answer is all that a script says of a server, which may be at its end or its start. */
function stop({ id }: Restore, server: Server, values: Values): Problem | undefined {
  const service = serviceOf(values);
  for (let tries = 0; tries < 600; tries++) {
    const problem = stopFor(id, service);
    if (problem !== undefined) return problem;
    const isAtWork = serverIn(dataOf(server)) !== undefined;
    // That of another server would be there for good.
    if (!isAtWork && (tries === 50 || !isWatched())) return undefined;
    // It is not that of the service.
    if (isAtWork && tries > 2 && !isProblem(accessOf(values))) break;
    pause(100);
  }
  return { reason: `${service} is down, and its server is not`, remedy: 'correct SERVICE or DEFAULTS_FILE' };
}

/** mysqld_safe(1) starts again what was killed. */
const isWatched = (): boolean =>
  readdirSync('/proc').some(
    pid =>
      /^(?:mariadbd|mysqld)[-_]safe$/.test(commOf(pid)) &&
      // A zombie has none.
      attempt(() => readlinkSync(`/proc/${pid}/exe`)) !== undefined,
  );

/** Waits until it serves; two minutes for one that cannot be reached at all. */
function answers(values: Values): Problem | undefined {
  for (let tries = 0; ; tries++) {
    const access = accessOf(values);
    if (!isProblem(access)) return undefined;
    if (tries === 1200 || !/ERROR 200[23]\b/.test(access.reason)) return access;
    pause(100);
  }
}

function switchOver(restore: Restore, values: Values, pathOf: PathOf): Problem | undefined {
  const service = serviceOf(values);
  const server = noted<Server>(restore, pathOf);
  if (server === undefined) return { reason: 'what is known of the server is gone', remedy: 'restore again' };
  const problem =
    stop(restore, server, values) ??
    swapIn({ ...server, id: restore.id }) ??
    startAgain(restore.id, service) ??
    answers(values);
  const access = accessOf(values);
  if (problem !== undefined || isProblem(access)) return problem;
  const there = query(access, 'show databases').map(([name]) => name);
  const lost = restore.entries.find(entry => !isUsers(entry) && !there.includes(entry.facts.database));
  return lost === undefined
    ? undefined
    : { reason: `${service} does not have ${lost.name}`, remedy: 'see the log of the server' };
}

function switchBack(restore: Restore, values: Values, pathOf: PathOf): Problem | undefined {
  const server = noted<Server>(restore, pathOf);
  if (server !== undefined) {
    endWorkersIn(copyIn(server, restore));
    const problem = stop(restore, server, values) ?? swapBack({ ...server, id: restore.id });
    if (problem !== undefined) return problem;
  }
  return serve(restore, values);
}

function serve({ id }: Restore, values: Values): Problem | undefined {
  return startAgain(id, serviceOf(values)) ?? answers(values);
}

/** By the server's own word. */
function withPlace<T>(values: Values, work: (server: Server) => T): T | Problem {
  const access = accessOf(values);
  if (isProblem(access)) return access;
  const server = running(access);
  return isProblem(server) ? server : work(server);
}

function finish({ id }: Restore, values: Values): Problem | undefined {
  return withPlace(values, server => removeFresh({ ...server, id }));
}

function dropOld({ id }: Restore, values: Values): Problem | undefined {
  return withPlace(values, server => removeBefore({ ...server, id }));
}

function whereOld({ id }: Restore, values: Values): string | undefined {
  const path = withPlace(values, server => `${beforeIn({ ...server, id })}/${server.names[0]}`);
  return typeof path === 'string' && isThere(path) ? path : undefined;
}
