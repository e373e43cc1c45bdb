// `tklbam-databases`: whether the dumps that tklbam itself made hold the databases that there are. tklbam goes on when a dump fails.
import { existsSync, readFileSync, statSync } from 'node:fs';
import { escapeControls } from '../../cli/text.ts';
import { attempt } from '../../system/errno.ts';
import { isNamed, SHARED_SETTINGS } from '../database/settings.ts';
import type { Context, LibraryHook, Values } from '../hook.ts';
import { ask, clientName, findAccess, isDown, OWN_DATABASES, parseRows, quoted } from '../mariadb/client.ts';
import { listClusters, query } from '../postgresql/clusters.ts';
import { type Conf, isWanted, parseConf } from './limits.ts';

const { DATABASES = () => undefined, EXCLUDE = () => undefined } = SHARED_SETTINGS;

export const tklbamDatabases: LibraryHook = {
  settings: { DATABASES, EXCLUDE },
  needs: 'DATABASES',
  run: async ({ operation, state }, context) =>
    operation === 'backup' && state === 'inspect' ? inspect(context) : 0,
  check: async () => [],
};

function inspect({ directory, values, skipsDatabases, tell }: Context): number {
  const text = attempt(() => readFileSync(`${directory}/backup-conf`, 'utf8'));
  const conf = text === undefined ? undefined : parseConf(text);
  if (conf === undefined) {
    tell('this is no backup of tklbam, there is nothing to look at');
    return 0;
  }
  if (skipsDatabases || conf.skipsDatabases) return 0;
  const lacks = [...postgresqlLacks(directory, conf, values), ...mysqlLacks(directory, conf, values)];
  for (const lack of lacks) tell(`${escapeControls(lack)}: this backup is not good`);
  if (lacks.length > 0) {
    tell(
      "see what tklbam said of it; the hook 'postgresql' dumps PostgreSQL itself, and what is not to be backed up can be named in EXCLUDE",
    );
  }
  return lacks.length === 0 ? 0 : 1;
}

const sizeOf = (path: string): number => attempt(() => statSync(path).size) ?? 0;

/** What is not in `pgfs`, a line each. tklbam asks the cluster that programs ask by default, and knows no others. */
function postgresqlLacks(directory: string, conf: Conf, values: Values): readonly string[] {
  return (listClusters() ?? [])
    .filter(({ isOnline }) => isOnline)
    .flatMap((cluster, index) => {
      const names = query(
        cluster,
        "select datname from pg_database where not datistemplate and datname <> 'postgres' order by 1",
      ).map(([name = '']) => name);
      return names
        .filter(name => !/_(?:before|new)_[0-9a-f]{8}$/.test(name))
        .filter(name => isWanted(conf, 'pgsql', name) && isNamed(values, { name }))
        .flatMap(name => {
          const what = `the database ${name} of PostgreSQL ${cluster.label}`;
          if (index > 0) return [`${what} is in none of tklbam's dumps, which are of one cluster`];
          const lack = pgfsLack(`${directory}/pgfs/${name}`);
          return lack === undefined ? [] : [`${what} ${lack}`];
        });
    });
}

/** A dump in the format `tar`, unpacked. What pg_dump(1) writes last is restore.sql. */
function pgfsLack(directory: string): string | undefined {
  if (!existsSync(directory)) return "is not in tklbam's dump";
  const files = (attempt(() => readFileSync(`${directory}/manifest.txt`, 'utf8')) ?? '')
    .split('\n')
    .filter(name => name !== '');
  if (!files.includes('toc.dat') || !files.includes('restore.sql')) return 'was dumped in part';
  const lost = files.find(name => !existsSync(`${directory}/${name}`));
  return lost === undefined ? undefined : `was dumped, and its file ${lost} is gone`;
}

/** What is not in `myfs`, a line each. */
function mysqlLacks(directory: string, conf: Conf, values: Values): readonly string[] {
  if (clientName() === undefined) return [];
  const access = findAccess();
  // Does not run: then tklbam has nothing to dump.
  if (!('args' in access))
    return isDown(access) ? [] : [`MySQL cannot be asked what it has (${access.reason})`];
  const rows = ask(
    access,
    `select table_schema, table_name, table_type from information_schema.tables
    where table_schema not in (${OWN_DATABASES})`,
  );
  const schemas = ask(
    access,
    `select schema_name from information_schema.schemata
    where schema_name not in (${OWN_DATABASES})`,
  );
  if (rows.status !== 0 || schemas.status !== 0)
    return [`MySQL cannot be asked what it has (${rows.reason})`];
  const tables = parseRows(rows.stdout).filter(([, , type]) => type === 'BASE TABLE');
  return parseRows(schemas.stdout)
    .map(([name = '']) => name)
    .filter(name => isWanted(conf, 'mysql', name) && isNamed(values, { name }))
    .flatMap(name => {
      const path = `${directory}/myfs/${name}`;
      if (sizeOf(`${path}/init`) === 0) return [`the database ${name} of MySQL is not in tklbam's dump`];
      return tables
        .filter(([schema]) => schema === name)
        .map(([, table = '']) => table)
        .flatMap(table => {
          const what = `the table ${name}.${table} of MySQL`;
          if (sizeOf(`${path}/tables/${table}/init`) === 0) return [`${what} is not in tklbam's dump`];
          const isEmpty = sizeOf(`${path}/tables/${table}/rows`) === 0;
          if (!isEmpty || !isWanted(conf, 'mysql', name, table)) return [];
          const full = ask(access, `select 1 from ${quoted(name)}.${quoted(table)} limit 1`);
          return full.status === 0 && full.stdout.trim() === '1'
            ? [`${what} has rows, and none in tklbam's dump`]
            : [];
        });
    });
}
