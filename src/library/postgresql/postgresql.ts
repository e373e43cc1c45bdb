// `postgresql`: each database in a dump of its own, and the roles of each cluster. A restore loads a database under another name, and renames.
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { escapeControls, listed } from '../../cli/text.ts';
import type { Database, Entry, Facts, Item, PathOf, Restore, Survey } from '../database/database.ts';
import { databaseHook } from '../database/hook.ts';
import { roomProblems } from '../database/room.ts';
import { isNamed, matches } from '../database/settings.ts';
import { workersIn } from '../database/swap.ts';
import type { Problem, Values } from '../hook.ts';
import { words } from '../settings.ts';
import { type Ended, pause, runTool } from '../tool.ts';
import {
  type Cluster,
  connection,
  identifier,
  listClusters,
  literal,
  newestVersion,
  query,
  readDump,
  readWhole,
  runIn,
  script,
  versionOf,
} from './clusters.ts';

const database: Database = {
  kind: 'postgresql',
  settings: {},
  suffix: '.pgdump',
  isAlwaysWanted: ({ facts }) => facts.what === 'roles',
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
export const postgresql = databaseHook(database);

/** Those of the survey: to list them takes longer than to dump a small database, of which there may be a thousand. */
const surveyed = new Map<string, Cluster>();
const keyOf = ({ cluster, major }: Facts): string => `${major}/${cluster}`;

function survey(values: Values): Survey {
  const clusters = listClusters();
  if (clusters === undefined || clusters.length === 0)
    return { items: [], problems: [noCluster(clusters)], server: '' };
  const problems: Problem[] = [];
  const items: Item[] = [];
  const warnings: string[] = [];
  for (const cluster of clusters) {
    const prefix = prefixOf(cluster, clusters);
    // One that is not to run, and one that EXCLUDE names as a whole.
    if (!cluster.isOnline && !cluster.isAutomatic) continue;
    if (words(values.EXCLUDE).some(word => matches(word, `${cluster.label}/`))) continue;
    if (!cluster.isOnline) {
      problems.push(notRunning(cluster));
      continue;
    }
    try {
      const facts = { cluster: cluster.name, major: String(cluster.major) };
      surveyed.set(keyOf(facts), cluster);
      const { databases, templates } = databasesOf(cluster);
      const isWanted = (database: string): boolean => isNamed(values, { name: `${prefix}${database}` });
      const wanted = databases
        .filter(({ database }) => isWanted(database))
        .map((each): Item => ({ name: `${prefix}${each.database}`, facts: { ...facts, ...each } }));
      const left = templates.filter(isWanted).map(name => `${prefix}${name}`);
      if (left.length > 0)
        warnings.push(`not dumped, for they are templates: ${escapeControls(listed(left))}`);
      for (const {
        name,
        facts: { isOpen },
      } of wanted) {
        if (isOpen !== 't')
          problems.push({
            reason: `${name} allows no connections`,
            remedy: 'allow them, or name it in EXCLUDE',
          });
      }
      items.push({ name: `${prefix}(roles)`, facts: { ...facts, what: 'roles' } }, ...wanted);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      problems.push({
        reason,
        remedy: `have pg_hba.conf let ${cluster.owner} in by 'local all ${cluster.owner} peer'`,
      });
    }
  }
  for (const word of words(values.DATABASES)) {
    if (problems.length === 0 && word !== 'all' && !items.some(({ name }) => matches(word, name)))
      problems.push({ reason: `there is no database ${word}`, remedy: 'correct DATABASES' });
  }
  return { items, problems, warnings, server: clusters.map(({ label }) => label).join(' ') };
}

const notInstalled: Problem = {
  reason: 'PostgreSQL is not installed',
  remedy: 'install it, or disable this hook',
};
const noCluster = (clusters: readonly Cluster[] | undefined): Problem =>
  clusters === undefined
    ? notInstalled
    : { reason: 'there is no cluster of PostgreSQL', remedy: 'make one, or disable this hook' };

const notRunning = ({ label }: Cluster): Problem => ({
  reason: `PostgreSQL ${label} does not run`,
  remedy: `start it, or leave it out with EXCLUDE=${label}/*`,
});

/** What stands before the names of databases, but for those of the newest `main`. */
function prefixOf(cluster: Cluster, all: readonly Cluster[]): string {
  return cluster === all.find(({ name }) => name === 'main') ? '' : `${cluster.label}/`;
}

/** Not those that restores have left beside others. */
const OURS = /_(?:before|new)_[0-9a-f]{8}$/;

/** `templates` are those that somebody has made into one. */
function databasesOf(cluster: Cluster): {
  readonly databases: readonly (Facts & { readonly database: string })[];
  readonly templates: readonly string[];
} {
  const rows = query(
    cluster,
    `select datistemplate, datname, datallowconn, pg_database_size(oid),
      (select string_agg(distinct spcname, ' ') from pg_shdepend join pg_tablespace on refobjid = pg_tablespace.oid
        where dbid = d.oid and refclassid = 'pg_tablespace'::regclass)
      from pg_database d where datname not in ('template0', 'template1') order by datname`,
  ).filter(([, name = '']) => !OURS.test(name));
  return {
    databases: rows
      .filter(([isTemplate]) => isTemplate !== 't')
      .map(([, name = '', isOpen = '', bytes = '', tablespaces = '']) => ({
        database: name,
        isOpen,
        bytes,
        tablespaces,
      })),
    templates: rows.filter(([isTemplate]) => isTemplate === 't').map(([, name = '']) => name),
  };
}

function dump({ facts }: Item, fd: number): ReturnType<Database['dump']> {
  const cluster = surveyed.get(keyOf(facts)) ?? clusterOf(facts);
  if (cluster === undefined) return { reason: `PostgreSQL ${keyOf(facts)} is gone`, remedy: 'try again' };
  const failed = ({ reason }: Ended): Problem => ({ reason, remedy: 'see the log of PostgreSQL' });
  if (facts.what === 'roles') {
    const dumped = runIn(cluster, { name: 'pg_dumpall', args: ['--roles-only'], stdout: fd });
    return dumped.status === 0 ? { facts: {} } : failed(dumped);
  }
  const name = facts.database ?? '';
  const extensions = query(cluster, 'select extname from pg_extension order by 1', name).map(
    ([each]) => each,
  );
  const dumped = runIn(cluster, {
    name: 'pg_dump',
    // Waits no more than that for whoever locks a table; compressed it would be for nothing but this one tool.
    args: ['-Fc', '-Z', '0', '-C', '--lock-wait-timeout=600000', '-d', connection(name)],
    stdout: fd,
    movesMuch: true,
  });
  return dumped.status === 0 ? { facts: { extensions: extensions.join(' ') } } : failed(dumped);
}

function verify(path: string, { facts }: Item): Problem | undefined {
  const broken = (reason: string): Problem => ({
    reason: `it is not whole: ${reason}`,
    remedy: 'try another',
  });
  if (facts.what === 'roles') {
    const isWhole = /^-- PostgreSQL database cluster dump complete$/m.test(
      readFileSync(path, 'utf8').slice(-200),
    );
    return isWhole ? undefined : broken('its end is missing');
  }
  // The list of what is in it alone would pass half a file.
  const version = newestVersion();
  if (version === undefined) return notInstalled;
  const { status, reason } = readWhole(version, path);
  return status === 0 ? undefined : broken(reason);
}

/** Where a dump belongs: the cluster of its name, of the same version if there is one, else the newest. */
function clusterOf({ cluster, major }: Facts): Cluster | undefined {
  const named = (listClusters() ?? []).filter(({ name }) => name === cluster);
  return named.find(each => each.major === Number(major)) ?? named[0];
}

/** The entries of each cluster, and of these the one of its roles. */
interface Part {
  readonly cluster: Cluster;
  readonly roles: Entry | undefined;
  readonly databases: readonly Entry[];
}

/** Throws if a cluster is gone. */
function partsOf({ entries, id }: Restore): readonly Part[] {
  const keys = [...new Set(entries.map(({ facts }) => keyOf(facts)))];
  return keys.map(key => {
    const own = entries.filter(({ facts }) => keyOf(facts) === key);
    const cluster = own[0] && clusterOf(own[0].facts);
    if (cluster === undefined) throw new Error(`there is no cluster ${key.split('/')[1]} of PostgreSQL here`);
    const isRoles = ({ facts }: Entry): boolean => facts.what === 'roles';
    const application = `tklbam-hooks restore ${id}`;
    return {
      cluster: { ...cluster, application },
      roles: own.find(isRoles),
      databases: own.filter(each => !isRoles(each)),
    };
  });
}

const nameOf = ({ facts }: Entry): string => facts.database ?? '';

/** At most 63 bytes. The number keeps names apart whose ends had to go. */
function beside(entry: Entry, { id, entries }: Restore, what: 'new' | 'before'): string {
  const name = nameOf(entry);
  const cut = Buffer.from(name)
    .subarray(0, 40)
    .toString('utf8')
    .replace(/\ufffd+$/, '');
  return `${cut === name ? name : `${cut}_${entries.indexOf(entry)}`}_${what}_${id}`;
}

function obstacles(restore: Restore): readonly Problem[] {
  return partsOf(restore).flatMap(({ cluster, databases }): Problem[] => {
    if (!cluster.isOnline) return [notRunning(cluster)];
    const { label } = cluster;
    const problems: Problem[] = [];
    const [major = 0] = databases.map(({ facts }) => Number(facts.major));
    if (cluster.major < major) {
      const reason = `the dumps are of PostgreSQL ${major}, and PostgreSQL ${label} is older`;
      return [{ reason, remedy: `install postgresql-${major}` }];
    }
    const bytes = databases.reduce((sum, { facts }) => sum + Number(facts.bytes), 0);
    // With what is written ahead; a server that cannot write that stops.
    const needed = bytes + Math.min(bytes, 1 << 30) + (64 << 20);
    problems.push(...roomProblems(cluster.directory, needed));
    const wanted = (fact: string): string[] => [
      ...new Set(databases.flatMap(({ facts }) => words(facts[fact]))),
    ];
    const there = (column: string, table: string): Set<string | undefined> =>
      new Set(query(cluster, `select ${column} from ${table}`).map(([name]) => name));
    const extensions = there('name', 'pg_available_extensions');
    const tablespaces = there('spcname', 'pg_tablespace');
    for (const each of wanted('extensions').filter(name => !extensions.has(name)))
      problems.push({
        reason: `PostgreSQL ${label} has no extension ${each}`,
        remedy: 'install the package that has it',
      });
    for (const each of wanted('tablespaces').filter(name => !tablespaces.has(name)))
      problems.push({ reason: `PostgreSQL ${label} has no tablespace ${each}`, remedy: 'make it' });
    return problems;
  });
}

/** A setting of a database that says of which restore it is: it goes with it when it is renamed. */
const MARK = 'tklbam_hooks.restore';
/** A comment that says the same of a role. */
const roleMark = ({ id }: Restore): string => `tklbam-hooks restore ${id}`;

function load(restore: Restore, pathOf: PathOf): Problem | undefined {
  for (const { cluster, roles, databases } of partsOf(restore)) {
    const made =
      roles === undefined ? undefined : makeRoles(cluster, readFileSync(pathOf(roles), 'utf8'), restore);
    if (made !== undefined) return made;
    for (const entry of databases) {
      const problem = loadOne(cluster, entry, restore, pathOf(entry));
      if (problem !== undefined) return { ...problem, reason: `${entry.name}: ${problem.reason}` };
    }
  }
  return undefined;
}

/** The line with which pg_dumpall(1) makes a role. */
const CREATE = /^CREATE ROLE (.+);$/;

/** Makes those that are missing, so that they can own what is loaded. All rights they get at the end. */
function makeRoles(cluster: Cluster, text: string, restore: Restore): Problem | undefined {
  const statements = text.split('\n').flatMap(line => {
    const [, role] = CREATE.exec(line) ?? [];
    if (role === undefined) return [];
    const comment = `COMMENT ON ROLE ${role} IS ${literal(roleMark(restore))};`;
    return [unlessThere(line, comment)];
  });
  return problemOf(script(cluster, statements.join('\n')));
}

const unlessThere = (statement: string, more = ''): string =>
  `DO $tklbam_hooks$ BEGIN ${statement} ${more} EXCEPTION WHEN duplicate_object THEN NULL; END $tklbam_hooks$;`;

const problemOf = ({ status, reason }: Ended): Problem | undefined =>
  status === 0 ? undefined : { reason, remedy: 'see the log of PostgreSQL' };

function loadOne(cluster: Cluster, entry: Entry, restore: Restore, path: string): Problem | undefined {
  const fresh = beside(entry, restore, 'new');
  const made = extract(versionOf(cluster), path, 'DATABASE');
  if ('remedy' in made) return made;
  const lines = made.text.split('\n');
  // What is set for it comes too, whether it is asked for or not.
  const [create, owner] = [MAKES, OWNS].map(start => lines.find(line => start.test(line)) ?? '');
  const name = identifier(fresh);
  const statements = [
    create?.replace(MAKES, () => `CREATE DATABASE ${name} WITH `),
    owner?.replace(OWNS, () => `ALTER DATABASE ${name} OWNER TO `),
  ].join('\n');
  const mark = `ALTER DATABASE ${name} SET ${MARK} = ${literal(restore.id)};`;
  const created = problemOf(script(cluster, `${statements}\n${mark}`));
  if (created !== undefined) return created;
  const stdin = openSync(path, 'r');
  try {
    const args = ['--exit-on-error', '-d', connection(fresh)];
    return problemOf(runIn(cluster, { name: 'pg_restore', args, stdin }));
  } finally {
    closeSync(stdin);
  }
}

/** As pg_dump(1) writes them, in a line each, with quotes only where they are needed. */
const MAKES = /^CREATE DATABASE (?:"(?:[^"]|"")*"|\S+) WITH /;
const OWNS = /^ALTER DATABASE (?:"(?:[^"]|"")*"|\S+) OWNER TO /;

/** The statements of a dump about the database itself: how it is made, or what it has besides (settings, rights, comment). */
function extract(
  version: string,
  path: string,
  what: 'DATABASE' | 'properties',
): { readonly text: string } | Problem {
  const failed = ({ reason }: Ended): Problem => ({ reason, remedy: 'try another dump' });
  const listed = readDump(version, '-C', '-l', path);
  if (listed.status !== 0) return failed(listed);
  const wanted =
    what === 'DATABASE'
      ? /^\d+; 1262 \d+ DATABASE - /
      : /^\d+; \d+ \d+ (?:DATABASE PROPERTIES - |(?:ACL|COMMENT|SECURITY LABEL) - DATABASE )/;
  const lines = listed.stdout.split('\n').filter(line => wanted.test(line));
  if (lines.length === 0) return { text: '' };
  writeFileSync(`${path}.list`, `${lines.join('\n')}\n`, { mode: 0o600 });
  const shown = readDump(version, '-C', '-L', `${path}.list`, '-f', '-', path);
  // It would connect to the database by its name.
  return shown.status === 0 ? { text: shown.stdout.replaceAll(/^\\connect.*$/gm, '') } : failed(shown);
}

function switchOver(restore: Restore, _values: Values, pathOf: PathOf): Problem | undefined {
  for (const { cluster, roles, databases } of partsOf(restore)) {
    const there = new Set(query(cluster, 'select datname from pg_database').map(([name]) => name));
    const renames = databases.flatMap(entry => {
      const [name, fresh, before] = [
        nameOf(entry),
        beside(entry, restore, 'new'),
        beside(entry, restore, 'before'),
      ];
      return [...(there.has(name) ? [rename(name, before)] : []), rename(fresh, name)];
    });
    const old = databases.map(nameOf).filter(name => there.has(name));
    // All of a cluster at once.
    const moved = disconnected(cluster, old, `BEGIN;\n${renames.join('\n')}\nCOMMIT;`);
    if (moved !== undefined) return moved;
    const reopen = databases
      .filter(entry => there.has(nameOf(entry)))
      .map(entry => `ALTER DATABASE ${identifier(beside(entry, restore, 'before'))} ALLOW_CONNECTIONS true;`);
    const opened = problemOf(script(cluster, reopen.join('\n')));
    if (opened !== undefined) return opened;
    for (const entry of databases) {
      const properties = extract(versionOf(cluster), pathOf(entry), 'properties');
      if ('remedy' in properties) return properties;
      if (properties.text === '') continue;
      const statements = properties.text.split('\n').filter(line => !MAKES.test(line));
      const set = problemOf(script(cluster, statements.join('\n'), nameOf(entry)));
      if (set !== undefined) return { ...set, reason: `${entry.name}: ${set.reason}` };
    }
    // The last that can fail, and it happens as a whole or not at all.
    const set =
      roles === undefined ? undefined : setRoles(cluster, readFileSync(pathOf(roles), 'utf8'), restore);
    if (set !== undefined) return set;
  }
  return undefined;
}

const rename = (from: string, to: string): string =>
  `ALTER DATABASE ${identifier(from)} RENAME TO ${identifier(to)};`;

/** Runs statements while nobody is connected to these databases, nor can be. */
function disconnected(cluster: Cluster, names: readonly string[], statements: string): Problem | undefined {
  const close = names.map(name => `ALTER DATABASE ${identifier(name)} ALLOW_CONNECTIONS false;`).join('\n');
  const list = names.map(literal).join(', ') || "''";
  const end = `select pg_terminate_backend(pid) from pg_stat_activity where datname in (${list});`;
  let last: Problem | undefined;
  // Who was told to end takes its time.
  for (let attempts = 0; attempts < 60; attempts += 1) {
    const done = script(cluster, `${close}\n${end}\n${statements}`);
    last = problemOf(done);
    if (last === undefined || !/being accessed by other users/.test(done.stderr)) return last;
    pause(250);
  }
  return last;
}

/** Passwords, rights and memberships, as they were in the backup. */
function setRoles(cluster: Cluster, text: string, restore: Restore): Problem | undefined {
  const made = madeRoles(cluster, restore).map(role => `COMMENT ON ROLE ${identifier(role)} IS NULL;`);
  const lines = text.split('\n').map(line => (CREATE.test(line) ? unlessThere(line) : line));
  return problemOf(script(cluster, ['BEGIN;', ...made, ...lines, 'COMMIT;'].join('\n')));
}

const madeRoles = (cluster: Cluster, restore: Restore): string[] =>
  query(
    cluster,
    `select rolname from pg_roles where shobj_description(oid, 'pg_authid') = ${literal(roleMark(restore))}`,
  ).flatMap(([name]) => name ?? []);

function switchBack(restore: Restore): Problem | undefined {
  for (const { cluster, databases } of partsOf(restore)) {
    startIfDown(cluster);
    endOthers(cluster);
    const rows = query(
      cluster,
      `select datname, coalesce((select true from pg_db_role_setting where setdatabase = d.oid and setrole = 0
        and ${literal(`${MARK}=${restore.id}`)} = any(setconfig)), false) from pg_database d`,
    );
    const there = new Map(rows.map(([name = '', isMarked]) => [name, isMarked === 't']));
    for (const entry of databases) {
      const [name, fresh, before] = [
        nameOf(entry),
        beside(entry, restore, 'new'),
        beside(entry, restore, 'before'),
      ];
      const drop = `DROP DATABASE IF EXISTS ${identifier(fresh)} WITH (FORCE);`;
      const open = `ALTER DATABASE ${identifier(name)} ALLOW_CONNECTIONS true;`;
      const isNew = there.get(name) === true;
      const statements = [
        ...(isNew || there.has(before) ? ['BEGIN;'] : []),
        ...(isNew ? [rename(name, fresh)] : []),
        ...(there.has(before) ? [rename(before, name)] : []),
        ...(isNew || there.has(before) ? ['COMMIT;'] : []),
        drop,
        ...(there.has(before) || (there.has(name) && !isNew) ? [open] : []),
      ];
      const closed = [...(isNew ? [name] : []), ...(there.has(before) ? [before] : [])];
      const problem = disconnected(cluster, closed, statements.join('\n'));
      if (problem !== undefined) return problem;
    }
    const roles = madeRoles(cluster, restore).map(role => `DROP ROLE ${identifier(role)};`);
    const dropped = problemOf(script(cluster, roles.join('\n')));
    if (dropped !== undefined) return dropped;
  }
  return undefined;
}

/** A client that was killed leaves its statement to the server, which would make a database after we have looked. */
function endOthers(cluster: Cluster): void {
  const end = `select pg_terminate_backend(pid) from pg_stat_activity
    where application_name = ${literal(cluster.application ?? '')} and pid <> pg_backend_pid()`;
  for (let tries = 0; tries < 240 && query(cluster, end).length > 0; tries += 1) pause(250);
}

function serve(restore: Restore): undefined {
  for (const { cluster } of partsOf(restore)) startIfDown(cluster);
}

/** It ran when the restore began: the server itself may be what failed. */
function startIfDown(cluster: Cluster): void {
  if (cluster.isOnline) return;
  // Of one that was killed, whoever is in the midst of a statement keeps the next from starting.
  for (let tries = 0; tries < 240 && workersIn(cluster.directory).length > 0; tries += 1) pause(250);
  runTool('pg_ctlcluster', versionOf(cluster), cluster.name, 'start');
}

function finish(restore: Restore): Problem | undefined {
  for (const { cluster, databases } of partsOf(restore)) {
    const statements = databases.map(entry => `ALTER DATABASE ${identifier(nameOf(entry))} RESET ${MARK};`);
    const problem = problemOf(script(cluster, statements.join('\n')));
    if (problem !== undefined) return problem;
  }
  return undefined;
}

function dropOld(restore: Restore): Problem | undefined {
  for (const { cluster, databases } of partsOf(restore)) {
    const statements = databases.map(
      entry => `DROP DATABASE IF EXISTS ${identifier(beside(entry, restore, 'before'))} WITH (FORCE);`,
    );
    const problem = problemOf(script(cluster, statements.join('\n')));
    if (problem !== undefined) return problem;
  }
  return undefined;
}

function whereOld(restore: Restore): string | undefined {
  const old = partsOf(restore).flatMap(({ cluster, databases }) => {
    const there = new Set(query(cluster, 'select datname from pg_database').map(([name]) => name));
    return databases.map(entry => beside(entry, restore, 'before')).filter(name => there.has(name));
  });
  return old.length === 0 ? undefined : listed(old);
}
