// The clusters of PostgreSQL on this machine, as postgresql-common has them, and how they are asked.
import { closeSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { attempt } from '../../system/errno.ts';
import { type Ended, run, runTool, type Tool } from '../tool.ts';

export interface Cluster {
  /** As pg_lsclusters(1) has it: version and name. */
  readonly label: string;
  readonly major: number;
  readonly name: string;
  readonly isOnline: boolean;
  /** Whether it is started with the machine. */
  readonly isAutomatic: boolean;
  /** The user who has all rights in it by peer authentication. */
  readonly owner: string;
  readonly directory: string;
  /** Our name among those who are connected to it (application_name). Default: that of the tool. */
  readonly application?: string;
}

/** Undefined if postgresql-common is not installed. */
export function listClusters(): readonly Cluster[] | undefined {
  const { status, stdout } = runTool('pg_lsclusters', '--no-header');
  return status === 0 ? parseClusters(stdout, isAutomatic) : undefined;
}

/** Pure. The newest first. */
export function parseClusters(text: string, startsItself: (path: string) => boolean): readonly Cluster[] {
  return text
    .split('\n')
    .map(line => /^(\d+)(\.\d+)?\s+(\S+)\s+\d+\s+(\S+)\s+(\S+)\s+(\S+)/.exec(line))
    .filter(match => match !== null)
    .map(([, major = '', minor = '', name = '', status = '', owner = '', directory = '']): Cluster => {
      const label = `${major}${minor}/${name}`;
      return {
        ...{ label, major: Number(major), name, owner, directory },
        isOnline: status.startsWith('online'),
        isAutomatic: startsItself(`/etc/postgresql/${label}/start.conf`),
      };
    })
    .sort((one, other) => other.major - one.major);
}

const isAutomatic = (path: string): boolean =>
  !/^\s*(?:manual|disabled)\b/m.test(attempt(() => readFileSync(path, 'utf8')) ?? '');

/** How its programs are started: not with what is set for others, and each text as UTF-8. */
const ENV = {
  PGCLIENTENCODING: 'UTF8',
  PGOPTIONS: '-c standard_conforming_strings=on -c lock_timeout=0 -c statement_timeout=0',
  PGCONNECT_TIMEOUT: '30',
};

/** Where the versions of the server have their programs. Those in /usr/bin are a script that takes longer than most of what it starts. */
const VERSIONS = '/usr/lib/postgresql';
const programsOf = (version: string): string => `${VERSIONS}/${version}/bin`;

/** The part of the label before its name: that of 9.6 has a point in it. */
export const versionOf = ({ label }: Cluster): string => label.replace(/\/.*/, '');

/** Runs a program of the cluster's version, as its owner, connected to it. */
export const runIn = (
  cluster: Cluster,
  tool: Pick<Tool, 'name' | 'args' | 'stdin' | 'stdout' | 'movesMuch'>,
): Ended =>
  run({
    ...tool,
    directory: programsOf(versionOf(cluster)),
    user: cluster.owner,
    env: {
      ...ENV,
      ...socketOf(cluster),
      ...(cluster.application === undefined ? {} : { PGAPPNAME: cluster.application }),
    },
  });

/** Where a server that runs can be reached, by what it writes down itself; nothing if it does not run. */
function socketOf({ directory }: Cluster): { readonly PGPORT?: string; readonly PGHOST?: string } {
  const [, , , port, host] =
    attempt(() => readFileSync(`${directory}/postmaster.pid`, 'utf8'))?.split('\n') ?? [];
  return port && host ? { PGPORT: port, PGHOST: host } : {};
}

/** The newest that is installed: it can read the dumps of all. */
export const newestVersion = (): string | undefined =>
  (attempt(() => readdirSync(VERSIONS)) ?? []).sort((one, other) => Number(other) - Number(one))[0];

/** Runs pg_restore(1) of a version, without a connection. */
export const readDump = (version: string, ...args: readonly string[]): Ended =>
  run({ ...reader(version), args });

/** Has it read all of a dump, for nobody. */
export function readWhole(version: string, path: string): Ended {
  const [stdin, stdout] = [openSync(path, 'r'), openSync('/dev/null', 'w')];
  try {
    const args = ['-f', '-'];
    return run({ ...reader(version), args, stdin, stdout, movesMuch: true });
  } finally {
    for (const each of [stdin, stdout]) closeSync(each);
  }
}

const reader = (version: string): Tool => ({
  name: 'pg_restore',
  directory: programsOf(version),
  env: ENV,
  isReader: true,
});

/** Runs statements one after the other, and stops at the first that fails. */
export const script = (cluster: Cluster, statements: string, database = 'template1'): Ended =>
  runIn(cluster, {
    name: 'psql',
    args: [
      ...['-X', '-q', '-A', '-t', '-F', '\x1f', '-R', '\x1e'],
      ...['-v', 'ON_ERROR_STOP=1', '-d', connection(database)],
    ],
    stdin: statements,
  });

/** The rows of one query. Throws if there are none to be had. */
export function query(cluster: Cluster, statement: string, database?: string): string[][] {
  const { status, stdout, reason } = script(cluster, statement, database);
  if (status !== 0) throw new Error(`PostgreSQL ${cluster.label}: ${reason}`);
  const text = stdout.replace(/\n$/, '');
  return text === '' ? [] : text.split('\x1e').map(row => row.split('\x1f'));
}

/** A name alone would be taken for more, if it has an equals sign in it. */
export const connection = (database: string): string => `dbname='${database.replaceAll(/['\\]/g, '\\$&')}'`;

export const identifier = (name: string): string => `"${name.replaceAll('"', '""')}"`;
export const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`;
