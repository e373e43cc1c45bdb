// The ready hooks by name, and how `check` knows them and asks them.
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { LIBRARY } from '../cli/grammar.ts';
import { escapeControls } from '../cli/text.ts';
import { attempt } from '../system/errno.ts';
import type { Judged, LibraryName } from '../types.ts';
import type { LibraryHook, Problem } from './hook.ts';
import { readSettings } from './settings.ts';

/** Each is loaded when it is needed. */
export const HOOKS: Readonly<Record<LibraryName, () => Promise<LibraryHook>>> = {
  services: async () => (await import('./services/services.ts')).services,
  snapshot: async () => (await import('./snapshot/snapshot.ts')).snapshot,
  cleanup: async () => (await import('./cleanup/cleanup.ts')).cleanup,
  notify: async () => (await import('./notify/notify.ts')).notify,
  sqlite: async () => (await import('./sqlite/sqlite.ts')).sqlite,
  postgresql: async () => (await import('./postgresql/postgresql.ts')).postgresql,
  mariadb: async () => (await import('./mariadb/mariadb.ts')).mariadb,
  'tklbam-databases': async () => (await import('./tklbam-databases/tklbam-databases.ts')).tklbamDatabases,
  redis: async () => (await import('./redis/redis.ts')).redis,
  openldap: async () => (await import('./openldap/openldap.ts')).openldap,
  etcd: async () => (await import('./etcd/etcd.ts')).etcd,
};

/** What the hooks that run, and are of the library, could not do tonight, or lack; by the path of the hook. */
export async function libraryProblems(
  judged: readonly Judged[],
  stateDirectory: string,
): Promise<ReadonlyMap<string, readonly Problem[]>> {
  const found = new Map<string, readonly Problem[]>();
  for (const { hook, verdict } of judged) {
    const name =
      verdict.kind === 'run' && hook.program?.kind === 'script' ? libraryHookOf(hook.path) : undefined;
    if (name !== undefined) found.set(hook.path, await problems(name, hook.path, stateDirectory));
  }
  return found;
}

async function problems(
  hook: LibraryName,
  path: string,
  stateDirectory: string,
): Promise<readonly Problem[]> {
  const settings = `${path}.conf`;
  const { settings: rules, needs, check } = await HOOKS[hook]();
  const found = readSettings(settings, rules);
  if (found.problems.length > 0) return found.problems;
  if (found.values[needs] === undefined) {
    return [
      {
        reason: `it does nothing, since ${needs} is not set`,
        remedy: `set it in '${escapeControls(settings)}'`,
      },
    ];
  }
  return check(found.values, { instance: basename(path), stateDirectory });
}

/** The ready hook that a script calls, by its line `exec tklbam-hooks library NAME …`; undefined if it calls none. */
function libraryHookOf(path: string): LibraryName | undefined {
  const text = attempt(() => readFileSync(path, 'utf8')) ?? '';
  const [, name] = /^exec \S*tklbam-hooks library ([a-z-]+) /m.exec(text) ?? [];
  return LIBRARY.find(known => known === name);
}
