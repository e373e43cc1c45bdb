// What tklbam was told about databases: the file `backup-conf` of its working directory, and lines of its overrides. Pure.

export interface Conf {
  readonly skipsDatabases: boolean;
  readonly overrides: readonly string[];
}

/** Undefined if it is none of tklbam's. */
export function parseConf(text: string): Conf | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const overrides = 'overrides' in value && Array.isArray(value.overrides) ? value.overrides : [];
  return {
    skipsDatabases: 'skip_database' in value && value.skip_database === true,
    overrides: overrides.filter(each => typeof each === 'string'),
  };
}

/**
 * Whether tklbam is to dump a database, or a table of it: unless `-mysql:DATABASE` or `-mysql:DATABASE/TABLE` says no; and where a line
 * without the minus says what to dump, nothing else.
 */
export function isWanted(
  { overrides }: Conf,
  kind: 'mysql' | 'pgsql',
  database: string,
  table?: string,
): boolean {
  const lines = overrides
    .map(line => /^(-?)(mysql|pgsql):([^/]+)(?:\/(.+))?$/.exec(line.trim()))
    .filter(match => match?.[2] === kind)
    .map(match => ({ isLeftOut: match?.[1] === '-', database: match?.[3], table: match?.[4] }));
  const own = lines.findLast(line => line.database === database && line.table === table);
  if (own !== undefined) return !own.isLeftOut;
  if (table !== undefined) return isWanted({ skipsDatabases: false, overrides }, kind, database);
  // A table that is asked for brings its database.
  if (lines.some(line => !line.isLeftOut && line.database === database)) return true;
  return lines.every(({ isLeftOut }) => isLeftOut);
}
