// `etcd`: all that a server of etcd holds, which is a cluster of one. Its snapshot becomes a new data directory beside the old one, which it
// takes the place of while the server is down.
import {
  closeSync,
  existsSync,
  lstatSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
} from 'node:fs';
import { attempt } from '../../system/errno.ts';
import { commOf } from '../../system/proc.ts';
import {
  type Database,
  type Item,
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
  freshIn,
  isThere,
  makeFresh,
  removeBefore,
  removeFresh,
  type Swap,
  swapBack,
  swapIn,
  userName,
  writeFresh,
} from '../database/swap.ts';
import type { Problem, Values } from '../hook.ts';
import { servicesProblems } from '../services/services.ts';
import { type Ended, hasTool, pause, run } from '../tool.ts';
import { endpointRule, type Member, membersOf, revisionOf } from './answers.ts';

const database: Database = {
  kind: 'etcd',
  settings: { ENDPOINT: endpointRule },
  suffix: '.db',
  survey,
  dump,
  abandon,
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
export const etcd = wholeServer(databaseHook(database));

const SERVICE = 'etcd';

/** The version of the interface has to be said up to etcd 3.3. */
const ctl = (values: Values, ...args: readonly string[]): Ended =>
  run({
    name: 'etcdctl',
    args: [`--endpoints=${values.ENDPOINT ?? '127.0.0.1:2379'}`, ...args],
    env: { ETCDCTL_API: '3' },
  });

/** What it says of a failure: the newer ones write a line of JSON for each step besides. */
const complaint = ({ stderr, reason }: Ended): string =>
  stderr
    .split('\n')
    .findLast(line => line.startsWith('Error: '))
    ?.slice(7) ?? reason;

function survey(values: Values): Survey {
  if (!hasTool('etcdctl'))
    return surveyFailed({ reason: 'etcdctl is not installed', remedy: 'apt install etcd-client' });
  const answer = ctl(values, 'member', 'list', '-w', 'json');
  const members = answer.status === 0 ? membersOf(answer.stdout) : undefined;
  if (members === undefined)
    return surveyFailed({
      reason: `etcd does not answer: ${complaint(answer)}`,
      remedy: `start ${SERVICE}, or correct ENDPOINT`,
    });
  const version =
    /"version":"([\d.]+)"/.exec(ctl(values, 'endpoint', 'status', '-w', 'json').stdout)?.[1] ?? '';
  const item: Item = { name: SERVICE, facts: {} };
  return { items: isNamed(values, item) ? [item] : [], problems: [], server: `etcd ${version}` };
}

function dump(_item: Item, fd: number, values: Values): ReturnType<Database['dump']> {
  // It writes to a file of its own choice beside, and renames that.
  const beside = `${readlinkSync(`/proc/self/fd/${fd}`)}.snapshot`;
  try {
    const saved = ctl(values, 'snapshot', 'save', beside);
    if (saved.status !== 0) return { reason: complaint(saved), remedy: 'see the log of etcd' };
    const copied = run({ name: 'cat', args: ['--', beside], stdout: fd });
    if (copied.status !== 0) return { reason: copied.reason, remedy: 'make room there' };
    const revision = snapshotRevision(beside);
    return typeof revision === 'object' ? revision : { facts: { revision } };
  } finally {
    for (const each of [beside, `${beside}.part`]) rmSync(each, { force: true });
  }
}

/** Of the last change that a snapshot has. */
function snapshotRevision(path: string): string | Problem {
  const answer = run({
    name: 'etcdctl',
    args: ['snapshot', 'status', path, '-w', 'json'],
    env: { ETCDCTL_API: '3' },
  });
  const revision = answer.status === 0 ? revisionOf(answer.stdout) : undefined;
  return (
    revision ?? { reason: `it is no snapshot of etcd: ${complaint(answer)}`, remedy: 'take another backup' }
  );
}

const TRIALS = '/var/tmp';

/** Trials of those who were cut off: what others make there is left alone, and nobody else can rename what is ours. */
function abandon(): void {
  for (const name of readdirSync(TRIALS)) {
    const [, pid] = /^tklbam-hooks-(\d+)-/.exec(name) ?? [];
    const path = `${TRIALS}/${name}`;
    const isOurs = attempt(() => lstatSync(path).uid) === process.geteuid?.();
    if (pid !== undefined && isOurs && !existsSync(`/proc/${pid}`)) rmSync(path, { recursive: true });
  }
}

/** Its own check of a snapshot passes one with a changed byte; that of a restore does not. */
function verify(path: string, { facts }: Item): Problem | undefined {
  const revision = snapshotRevision(path);
  if (typeof revision === 'object') return revision;
  if (revision !== facts.revision)
    return { reason: `it has revision ${revision} and not ${facts.revision}`, remedy: 'take another backup' };
  abandon();
  const trial = mkdtempSync(`${TRIALS}/tklbam-hooks-${process.pid}-`);
  try {
    const restored = run({
      name: 'etcdctl',
      args: ['snapshot', 'restore', path, `--data-dir=${trial}/data`],
      env: { ETCDCTL_API: '3' },
    });
    return restored.status === 0
      ? undefined
      : {
          reason: `it is not whole: ${complaint(restored)}`,
          remedy: 'take another backup, or make room in /var/tmp',
        };
  } finally {
    rmSync(trial, { recursive: true });
  }
}

interface Server extends Omit<Swap, 'id'> {
  readonly member: Member;
}

/** The server on this machine, which is asked, and what it was started with. */
function running(values: Values): Server | Problem {
  const answer = ctl(values, 'member', 'list', '-w', 'json');
  const members = answer.status === 0 ? membersOf(answer.stdout) : undefined;
  const [member, another] = members ?? [];
  if (member === undefined)
    return { reason: `etcd does not answer: ${complaint(answer)}`, remedy: `start ${SERVICE}` };
  if (another !== undefined)
    return {
      reason: 'it is part of a cluster, which has to be restored as a whole',
      remedy: "see etcd's own manual",
    };
  const pid = readdirSync('/proc').find(each => commOf(each) === 'etcd');
  const read = (what: string): string[] =>
    (attempt(() => readFileSync(`/proc/${pid}/${what}`, 'utf8')) ?? '').split('\0');
  const option = /^--?data-dir(?:=(.*))?$/;
  const words = read('cmdline');
  const at = words.findIndex(word => option.test(word));
  const given = at < 0 ? undefined : (option.exec(words[at] ?? '')?.[1] ?? words[at + 1]);
  const directory =
    given ??
    read('environ')
      .find(each => each.startsWith('ETCD_DATA_DIR='))
      ?.slice('ETCD_DATA_DIR='.length);
  const uid = attempt(() => statSync(`${directory}/member`).uid);
  const user = uid === undefined ? undefined : userName(uid);
  if (directory === undefined || !directory.startsWith('/') || user === undefined)
    return { reason: 'no etcd of this machine says where its data is', remedy: 'restore where it runs' };
  return { directory, user, names: ['member'], member };
}

function obstacles({ entries }: Restore, _pathOf: PathOf, values: Values): readonly Problem[] {
  const found = survey(values);
  if (found.problems.length > 0) return found.problems;
  const server = running(values);
  if ('reason' in server) return [server];
  // The copy that it is made of, and the log that etcd takes room for at once.
  const room = entries.reduce((sum, { size }) => sum + size, 0) * 2 + (64 << 20);
  return [...servicesProblems([SERVICE]), ...roomProblems(server.directory, room)];
}

function load(restore: Restore, pathOf: PathOf, values: Values): Problem | undefined {
  const [entry] = restore.entries;
  const server = running(values);
  if (entry === undefined) return undefined;
  if ('reason' in server) return server;
  const swap: Swap = { directory: server.directory, user: server.user, id: restore.id, names: server.names };
  note(restore, pathOf, swap);
  const fresh = freshIn(swap);
  const { name, peers } = server.member;
  const problem = makeFresh(swap) ?? copySnapshot(swap, pathOf(entry));
  if (problem !== undefined) return problem;
  const restored = as(swap.user, {
    name: 'etcdctl',
    args: [
      ...['snapshot', 'restore', `${fresh}/.snapshot`, `--data-dir=${fresh}/data`, `--name=${name}`],
      `--initial-cluster=${peers.map(peer => `${name}=${peer}`).join(',')}`,
      `--initial-advertise-peer-urls=${peers.join(',')}`,
    ],
    env: { ETCDCTL_API: '3' },
  });
  if (restored.status !== 0)
    return { reason: complaint(restored), remedy: 'make room, or take another backup' };
  return allAs(
    swap.user,
    ['mv', '-T', '--', `${fresh}/data/member`, `${fresh}/member`],
    ['rm', '-rf', '--', `${fresh}/data`, `${fresh}/.snapshot`],
  );
}

function copySnapshot(swap: Swap, path: string): Problem | undefined {
  const fd = openSync(path, 'r');
  try {
    return writeFresh(swap, '.snapshot', fd);
  } finally {
    closeSync(fd);
  }
}

function switchOver(restore: Restore, values: Values, pathOf: PathOf): Problem | undefined {
  const swap = noted<Swap>(restore, pathOf);
  if (swap === undefined) return { reason: 'what is known of the server is gone', remedy: 'restore again' };
  return stopFor(restore.id, SERVICE) ?? swapIn(swap) ?? serve(restore, values);
}

/** Waits until it serves, for two minutes or so. */
function answers(values: Values): Problem | undefined {
  let answer = ctl(values, 'endpoint', 'health');
  for (let tries = 0; answer.status !== 0; tries++) {
    if (tries === 20)
      return { reason: `etcd does not answer: ${complaint(answer)}`, remedy: 'see the log of etcd' };
    pause(500);
    answer = ctl(values, 'endpoint', 'health');
  }
  return undefined;
}

function switchBack(restore: Restore, values: Values, pathOf: PathOf): Problem | undefined {
  const swap = noted<Swap>(restore, pathOf);
  const problem = swap === undefined ? undefined : (stopFor(restore.id, SERVICE) ?? swapBack(swap));
  return problem ?? serve(restore, values);
}

function serve({ id }: Restore, values: Values): Problem | undefined {
  return startAgain(id, SERVICE) ?? answers(values);
}

function finish({ id }: Restore, values: Values): Problem | undefined {
  const server = running(values);
  return 'reason' in server ? server : removeFresh({ ...server, id });
}

function dropOld({ id }: Restore, values: Values): Problem | undefined {
  const server = running(values);
  return 'reason' in server ? server : removeBefore({ ...server, id });
}

function whereOld({ id }: Restore, values: Values): string | undefined {
  const server = running(values);
  if ('reason' in server) return undefined;
  const path = beforeIn({ ...server, id });
  return isThere(path) ? path : undefined;
}
