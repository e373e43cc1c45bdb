// `redis`: all that a server of Redis or Valkey holds. Its dump is read by a second server beside the first, which writes files as the first
// wants them, with an append-only file or without; these take the place of the first one's while it is down.
import { closeSync, openSync, statSync } from 'node:fs';
import { escapeControls } from '../../cli/text.ts';
import { describePathRefusal } from '../../report/verdicts.ts';
import { attempt, describeErrno } from '../../system/errno.ts';
import { commOf } from '../../system/proc.ts';
import { readTrusted } from '../../system/trust.ts';
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
import { databaseHook, wholeServer } from '../database/hook.ts';
import { note, noted } from '../database/note.ts';
import { roomProblems } from '../database/room.ts';
import { startAgain, stopFor } from '../database/service.ts';
import { isNamed } from '../database/settings.ts';
import {
  allAs,
  as,
  beforeIn,
  endWorkersIn,
  freshIn,
  isThere,
  makeFresh,
  removeBefore,
  removeFresh,
  type Swap,
  swapBack,
  swapIn,
  userName,
  workersIn,
  writeFresh,
} from '../database/swap.ts';
import type { Problem, Values } from '../hook.ts';
import { oneService, servicesProblems } from '../services/services.ts';
import { absolutePath } from '../settings.ts';
import { type Ended, hasTool, pause, run } from '../tool.ts';
import {
  addressArgs,
  addressRule,
  type Facts,
  keyCounts,
  type Names,
  pairs,
  parseInfo,
  programsOf,
  rdbSummary,
} from './answers.ts';

const database: Database = {
  kind: 'redis',
  settings: { SERVICE: oneService, SERVER: addressRule, PASSWORD_FILE: absolutePath },
  suffix: '.rdb',
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
export const redis = wholeServer(databaseHook(database));

/** Whom a command goes to, and how. */
interface Client {
  readonly program: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly user: string;
}

function clientOf(values: Values): Client | Problem {
  const { cli } = programsOf(values, hasTool);
  if (!hasTool(cli))
    return { reason: `${cli} is not installed`, remedy: `apt install ${cli.replace('cli', 'tools')}` };
  const password = passwordOf(values.PASSWORD_FILE);
  if (typeof password === 'object') return password;
  const env = password === undefined ? {} : { REDISCLI_AUTH: password, VALKEYCLI_AUTH: password };
  return { program: cli, args: addressArgs(values.SERVER), env, user: 'root' };
}

function passwordOf(path: string | undefined): string | undefined | Problem {
  if (path === undefined) return undefined;
  const reading = readTrusted(path);
  if (reading.kind === 'text') return reading.text.replace(/\r?\n$/, '');
  if (reading.kind === 'refused') {
    const { reason, remedy } = describePathRefusal(reading.refusal, path);
    return { reason: `PASSWORD_FILE: ${reason}`, remedy };
  }
  const why = reading.kind === 'error' ? describeErrno(reading.code) : 'there is no such file';
  return { reason: `PASSWORD_FILE '${path}': ${why}`, remedy: 'correct that' };
}

const ask = ({ program, args, env, user }: Client, ...command: readonly string[]): Ended =>
  as(user, { name: program, args: [...args, ...command], env });

/** Of an answer that is not what was asked for: what it says. */
const complaint = ({ stdout, reason }: Ended): string =>
  escapeControls(stdout.trim().split('\n')[0] || reason);

function survey(values: Values): Survey {
  const { service } = programsOf(values, hasTool);
  const client = clientOf(values);
  if (isProblem(client)) return surveyFailed(client);
  const answer = ask(client, 'INFO');
  const info = parseInfo(answer.stdout);
  const version = info.get('valkey_version') ?? info.get('redis_version');
  if (version === undefined) {
    const isLockedOut =
      /^(?:NOAUTH|NOPERM|WRONGPASS)/.test(answer.stdout) || /AUTH failed/.test(answer.stderr);
    const remedy = isLockedOut
      ? 'have PASSWORD_FILE hold its password'
      : `start ${service}, or correct SERVER`;
    return surveyFailed({ reason: `${service} does not let us in: ${complaint(answer)}`, remedy });
  }
  const item: Item = { name: service, facts: {} };
  const modules = ask(client, 'INFO', 'modules').stdout.matchAll(/^module:name=([^,]+)/gm);
  // It comes with Redis 8.
  const foreign = [...modules].map(([, name]) => name).filter(name => name !== 'vectorset');
  const server = `${info.has('valkey_version') ? 'Valkey' : 'Redis'} ${version}`;
  const instead = "use the hook 'services' or 'snapshot' instead";
  const problems: Problem[] = [];
  if (info.get('loading') === '1')
    problems.push({ reason: `${service} is still loading its data`, remedy: 'wait for that' });
  if (info.get('cluster_enabled') === '1')
    problems.push({ reason: `${service} is part of a cluster`, remedy: instead });
  if (foreign.length > 0)
    problems.push({ reason: `${service} keeps data of the modules ${foreign.join(', ')}`, remedy: instead });
  return { items: isNamed(values, item) ? [item] : [], problems, server };
}

function dump(_item: Item, fd: number, values: Values): ReturnType<Database['dump']> {
  const client = clientOf(values);
  if (isProblem(client)) return client;
  // To `-` it would leave the mark at the end of the transfer in it, and older ones their messages: from a file it cuts that off.
  const { status, reason } = run({
    name: client.program,
    args: [...client.args, '--rdb', '/dev/stdin'],
    env: client.env,
    stdin: fd,
  });
  if (status !== 0) return { reason, remedy: 'see the log of the server' };
  const checked = check('/dev/stdin', fd);
  return 'reason' in checked
    ? checked
    : { facts: { keys: `${checked.keys}`, expires: `${checked.expires}` } };
}

function verify(path: string, { facts }: Item): Problem | undefined {
  const found = check(path);
  if ('reason' in found) return found;
  if (`${found.keys}` === facts.keys) return undefined;
  return { reason: `it has ${found.keys} keys and not ${facts.keys}`, remedy: 'take another backup' };
}

/** What a dump holds. */
function check(path: string, stdin?: number): Facts | Problem {
  const name = ['redis-check-rdb', 'valkey-check-rdb'].find(hasTool);
  if (name === undefined)
    return { reason: 'redis-check-rdb is not installed', remedy: 'apt install redis-tools' };
  const { status, stdout, reason } = run({
    name,
    args: [path],
    isReader: true,
    ...(stdin === undefined ? {} : { stdin }),
  });
  const found = rdbSummary(stdout);
  if (status === 0 && !('reason' in found)) return found;
  const why = ('reason' in found && found.reason) || stdout.trim().split('\n').at(-1) || reason;
  return {
    reason: `it is not whole, or of a newer server: ${escapeControls(why)}`,
    remedy: 'take another backup',
  };
}

/** What a server has to be down for, so that it is known while it is. */
interface Server extends Omit<Swap, 'id'> {
  readonly service: string;
  readonly names: readonly string[];
}

interface Running {
  readonly server: Server;
  readonly names: Names;
  readonly hasAof: boolean;
  readonly databases: string;
}

/** A server on this machine that can be asked. */
function running(values: Values, client: Client): Running | Problem {
  const { service } = programsOf(values, hasTool);
  const info = parseInfo(ask(client, 'INFO').stdout);
  const answer = ask(client, 'CONFIG', 'GET', '*');
  const config = pairs(answer.stdout);
  const [directory, rdb, aof] = ['dir', 'dbfilename', 'appendfilename'].map(name => config.get(name));
  if (directory === undefined || rdb === undefined || aof === undefined)
    return {
      reason: `${service} does not tell its configuration: ${complaint(answer)}`,
      remedy: 'allow CONFIG GET',
    };
  const pid = info.get('process_id') ?? '';
  const uid = attempt(() => statSync(`/proc/${pid}`).uid);
  const user = uid === undefined || !/redis|valkey/.test(commOf(pid)) ? undefined : userName(uid);
  if (user === undefined)
    return { reason: `${service} does not run on this machine`, remedy: 'restore where it does' };
  const names = { rdb, aof, aofDirectory: config.get('appenddirname') };
  const all = [names.rdb, names.aof, names.aofDirectory].filter(name => name !== undefined);
  return {
    server: { service, directory, user, names: all },
    names,
    hasAof: config.get('appendonly') === 'yes',
    databases: config.get('databases') ?? '16',
  };
}

function obstacles({ entries }: Restore, _pathOf: PathOf, values: Values): readonly Problem[] {
  const { service, server } = programsOf(values, hasTool);
  const found = survey(values);
  const client = clientOf(values);
  if (found.problems.length > 0 || isProblem(client)) return found.problems;
  const now = running(values, client);
  if (isProblem(now)) return [now];
  const problems = [...servicesProblems([service])];
  if (!hasTool(server))
    problems.push({ reason: `${server} is not installed`, remedy: `apt install ${server}` });
  if (parseInfo(ask(client, 'INFO', 'replication').stdout).get('role') === 'slave')
    problems.push({
      reason: `${service} is a replica, and has what its primary has`,
      remedy: 'restore the primary',
    });
  // The dump, and the append-only file that is made of it.
  const room = entries.reduce((sum, { size }) => sum + size, 0) * (now.hasAof ? 2 : 1);
  return [...problems, ...roomProblems(now.server.directory, room)];
}

function load(restore: Restore, pathOf: PathOf, values: Values): Problem | undefined {
  const { service } = programsOf(values, hasTool);
  const client = clientOf(values);
  const [entry] = restore.entries;
  if (entry === undefined) return undefined;
  if (isProblem(client)) return client;
  // Stopped, it would forget what it was never told to write.
  const problem =
    save(client) ?? stopFor(restore.id, service) ?? startAgain(restore.id, service) ?? answers(client);
  if (problem !== undefined) return problem;
  // Its configuration, which the restore may have brought, is that with which it will find what it is given.
  const now = running(values, client);
  if (isProblem(now)) return now;
  note(restore, pathOf, now.server);
  return stopFor(restore.id, service) ?? make(restore, entry, pathOf(entry), now, values);
}

/** Has it write what it holds, if it does not do so all the time. */
function save(client: Client): Problem | undefined {
  if (pairs(ask(client, 'CONFIG', 'GET', 'appendonly').stdout).get('appendonly') === 'yes') return undefined;
  for (;;) {
    const answer = ask(client, 'SAVE');
    if (answer.stdout.trim() === 'OK') return undefined;
    if (!/in progress/.test(answer.stdout))
      return {
        reason: `it cannot write what it holds now: ${complaint(answer)}`,
        remedy: 'see the log of the server',
      };
    pause(200);
  }
}

/** Waits until it serves, however long it loads; two minutes for one that cannot be reached at all. */
function answers(client: Client, isGone = (): boolean => false): Problem | undefined {
  let answer = ask(client, 'PING');
  for (let refused = 0; refused < 1200; refused++) {
    if (answer.stdout.trim() === 'PONG') return undefined;
    if (/^(?:NOAUTH|WRONGPASS|NOPERM)/.test(answer.stdout))
      return { reason: complaint(answer), remedy: 'have PASSWORD_FILE hold its password' };
    if (isGone()) break;
    if (/LOADING/.test(answer.stdout)) refused = 0;
    pause(100);
    answer = ask(client, 'PING');
  }
  return { reason: `it does not answer: ${complaint(answer)}`, remedy: 'see the log of the server' };
}

/** Makes the files of a server out of a dump. */
function make(
  { id }: Restore,
  entry: Entry,
  path: string,
  { server, names, hasAof, databases }: Running,
  values: Values,
): Problem | undefined {
  const where = { ...server, id };
  const fresh = freshIn(where);
  const fd = openSync(path, 'r');
  try {
    const problem = makeFresh(where) ?? writeFresh(where, names.rdb, fd);
    if (problem !== undefined) return problem;
  } finally {
    closeSync(fd);
  }
  const { cli, server: program } = programsOf(values, hasTool);
  const socket = `${fresh}/.socket`;
  const client: Client = { program: cli, args: ['-s', socket], env: {}, user: server.user };
  const options = {
    port: '0',
    unixsocket: socket,
    unixsocketperm: '700',
    dir: fresh,
    dbfilename: names.rdb,
    appendonly: 'no',
    appendfilename: names.aof,
    ...(names.aofDirectory === undefined ? {} : { appenddirname: names.aofDirectory }),
    databases,
    save: '',
    daemonize: 'yes',
    logfile: `${fresh}/.log`,
    pidfile: `${fresh}/.pid`,
  };
  const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, value]);
  const isGone = (): boolean => workersIn(fresh).length === 0;
  const why = (): Problem => {
    const { stdout } = as(server.user, { name: 'tail', args: ['-n', '1', '--', `${fresh}/.log`] });
    return {
      reason: `a server beside it could not load the dump: ${escapeControls(stdout.trim())}`,
      remedy: 'mend that',
    };
  };
  try {
    const { status, reason } = as(server.user, { name: program, args });
    if (status !== 0) return { reason, remedy: `see whether ${program} starts` };
    if (answers(client, isGone) !== undefined) return why();
    const { keys, expires } = { keys: Number(entry.facts.keys), expires: Number(entry.facts.expires) };
    const loaded = keyCounts(ask(client, 'INFO', 'keyspace').stdout);
    if (!(loaded <= keys && loaded >= keys - expires))
      return { reason: `${loaded} keys were loaded, and not ${keys}`, remedy: 'take another backup' };
    if (hasAof && !writeAof(client, isGone)) return why();
    ask(client, 'SHUTDOWN', 'NOSAVE');
    while (!isGone()) pause(50);
    // As the service has them.
    return allAs(
      server.user,
      ['rm', '-f', '--', ...['.socket', '.log', '.pid'].map(name => `${fresh}/${name}`)],
      ['chmod', '-R', 'g=u,o=', '--', fresh],
    );
  } finally {
    endWorkersIn(fresh);
  }
}

function writeAof(client: Client, isGone: () => boolean): boolean {
  if (ask(client, 'CONFIG', 'SET', 'appendonly', 'yes').stdout.trim() !== 'OK') return false;
  for (;;) {
    const info = parseInfo(ask(client, 'INFO', 'persistence').stdout);
    if (isGone() || info.get('aof_last_bgrewrite_status') === 'err') return false;
    if (info.get('aof_rewrite_in_progress') === '0' && info.get('aof_rewrite_scheduled') === '0') return true;
    pause(100);
  }
}

function switchOver(restore: Restore, values: Values, pathOf: PathOf): Problem | undefined {
  const server = noted<Server>(restore, pathOf);
  const client = clientOf(values);
  if (server === undefined) return { reason: 'what is known of the server is gone', remedy: 'restore again' };
  if (isProblem(client)) return client;
  const problem =
    stopFor(restore.id, server.service) ??
    swapIn({ ...server, id: restore.id }) ??
    startAgain(restore.id, server.service) ??
    answers(client);
  if (problem !== undefined) return problem;
  const wanted = restore.entries.reduce(
    (sum, { facts }) => sum + Number(facts.keys) - Number(facts.expires),
    0,
  );
  return wanted > 0 && keyCounts(ask(client, 'INFO', 'keyspace').stdout) === 0
    ? { reason: `${server.service} did not take what it was given`, remedy: 'see the log of the server' }
    : undefined;
}

function switchBack(restore: Restore, values: Values, pathOf: PathOf): Problem | undefined {
  const server = noted<Server>(restore, pathOf);
  if (server !== undefined) {
    const swap = { ...server, id: restore.id };
    endWorkersIn(freshIn(swap));
    const problem = stopFor(restore.id, server.service) ?? swapBack(swap);
    if (problem !== undefined) return problem;
  }
  return serve(restore, values, server?.service);
}

function serve(
  { id }: Restore,
  values: Values,
  service = programsOf(values, hasTool).service,
): Problem | undefined {
  const problem = startAgain(id, service);
  const client = clientOf(values);
  return problem ?? (isProblem(client) ? undefined : answers(client));
}

/** With the server's own word for where that is. */
function placeOf({ id }: Restore, values: Values): Omit<Swap, 'names'> | Problem {
  const client = clientOf(values);
  if (isProblem(client)) return client;
  const now = running(values, client);
  return isProblem(now) ? now : { ...now.server, id };
}

function finish(restore: Restore, values: Values): Problem | undefined {
  const place = placeOf(restore, values);
  return isProblem(place) ? place : removeFresh(place);
}

function dropOld(restore: Restore, values: Values): Problem | undefined {
  const place = placeOf(restore, values);
  return isProblem(place) ? place : removeBefore(place);
}

function whereOld(restore: Restore, values: Values): string | undefined {
  const place = placeOf(restore, values);
  return isProblem(place) || !isThere(beforeIn(place)) ? undefined : beforeIn(place);
}
