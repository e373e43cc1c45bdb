// `sqlite`: files of SQLite, each dumped and restored as its owner, who could put a link in the way of root.
import { closeSync, constants, lstatSync, openSync, readdirSync, readlinkSync, readSync } from 'node:fs';
import { dirname } from 'node:path';
import { listed } from '../../cli/text.ts';
import { attempt } from '../../system/errno.ts';
import { commOf } from '../../system/proc.ts';
import { pathRefusal } from '../../system/trust.ts';
import type { Database, Entry, Facts, Item, PathOf, Restore, Survey } from '../database/database.ts';
import { databaseHook } from '../database/hook.ts';
import { roomProblems } from '../database/room.ts';
import { isNamed, matches } from '../database/settings.ts';
import type { Problem, Values } from '../hook.ts';
import { words } from '../settings.ts';
import { type Ended, hasTool, run, runTool, type Tool } from '../tool.ts';

const database: Database = {
  kind: 'sqlite',
  settings: { DATABASES: paths, EXCLUDE: paths },
  suffix: '.sqlite',
  survey,
  dump,
  abandon,
  verify,
  obstacles,
  load,
  switchOver,
  switchBack,
  finish,
  dropOld,
  whereOld,
};
export const sqlite = databaseHook(database);

function paths(value: string): string | undefined {
  const bad = words(value).find(word => !word.startsWith('/'));
  return bad === undefined ? undefined : `has '${bad}', which is no absolute path`;
}

function survey(values: Values): Survey {
  const problems: Problem[] = [];
  const files = new Set<string>();
  for (const pattern of words(values.DATABASES)) {
    const matching = expand(pattern);
    for (const file of matching) files.add(file);
    if (matching.length === 0)
      problems.push({ reason: `no file is there for ${pattern}`, remedy: 'correct DATABASES' });
  }
  const items: Item[] = [];
  for (const name of [...files].filter(each => isNamed(values, { name: each })).sort()) {
    const found = describe(name);
    if ('facts' in found) items.push({ name, facts: found.facts });
    else problems.push(found);
  }
  if (!hasTool('sqlite3'))
    problems.push({ reason: 'sqlite3 is not installed', remedy: 'apt install sqlite3' });
  return { items, problems, server: runTool('sqlite3', '--version').stdout.split(' ')[0] ?? '' };
}

/** What is there for a path with `*` and `?` in its parts; hidden names only for a pattern that begins with a dot. */
function expand(pattern: string): string[] {
  let found = [''];
  for (const part of pattern.split('/').slice(1)) {
    found = found.flatMap(directory => {
      if (!/[*?]/.test(part)) return [`${directory}/${part}`];
      const names = attempt(() => readdirSync(`${directory}/`)) ?? [];
      const isWanted = (name: string): boolean =>
        matches(part, name) && (part.startsWith('.') || !name.startsWith('.')) && !OURS.test(name);
      return names.filter(isWanted).map(name => `${directory}/${name}`);
    });
  }
  return found.filter(path => attempt(() => lstatSync(path)) !== undefined && !SIDECAR.test(path));
}

/** Files that SQLite keeps beside a database, and those that we do. */
const SIDECARS = ['-wal', '-shm', '-journal'];
const SIDECAR = /-(?:wal|shm|journal)$/;
const OURS = /\.(?:tklbam-hooks-(?:dump|new-[0-9a-f]{8})|before-[0-9a-f]{8})(?:-(?:wal|shm|journal))?$/;

const MAGIC = 'SQLite format 3\0';

function describe(path: string): { readonly facts: Facts } | Problem {
  const exclude = 'name what is one in DATABASES, or leave it out with EXCLUDE';
  const stat = lstatSync(path);
  if (!stat.isFile()) return { reason: `${path} is no file`, remedy: exclude };
  if (stat.size === 0) return { reason: `${path} is empty, and no database yet`, remedy: exclude };
  if (headOf(path) !== MAGIC) return { reason: `${path} is no database of SQLite`, remedy: exclude };
  const [owner, group] = [ownerName('passwd', stat.uid), ownerName('group', stat.gid)];
  if (owner === undefined || group === undefined) {
    const whose = `belongs to user ${stat.uid} and group ${stat.gid}, and one of them has no name here`;
    return { reason: `${path} ${whose}`, remedy: 'give it to a user' };
  }
  if (stat.uid === 0 && pathRefusal(path) !== undefined) {
    const reason = `${path} is root's, in a directory where others could put something in its place`;
    return { reason, remedy: 'give the file to the owner of the directory' };
  }
  return { facts: { owner, group, mode: (stat.mode & 0o777).toString(8) } };
}

function headOf(path: string): string | undefined {
  return attempt(() => {
    const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      const head = Buffer.alloc(MAGIC.length);
      readSync(fd, head);
      return head.toString('latin1');
    } finally {
      closeSync(fd);
    }
  });
}

function ownerName(database: 'passwd' | 'group', id: number): string | undefined {
  const { status, stdout } = runTool('getent', database, String(id));
  const [name] = stdout.split(':');
  return status === 0 && name ? name : undefined;
}

const as = ({ facts }: Item, tool: Tool): Ended =>
  run(facts.owner === 'root' ? tool : { ...tool, user: facts.owner ?? '' });

/** Without the settings of whoever it runs as. It waits a minute for others to let go of a lock. */
const sqliteArgs = (file: string, ...statements: readonly string[]): string[] => [
  ...['-batch', '-bail', '-init', '/dev/null', '-cmd', '.timeout 60000', file],
  ...statements,
];

/** For a dot command of sqlite3(1). */
const quote = (text: string): string => `"${text.replaceAll(/["\\]/g, '\\$&').replaceAll('\n', '\\n')}"`;

const copyOf = ({ name }: Item): string => `${name}.tklbam-hooks-dump`;

const removeCopy = (item: Item): Ended =>
  as(item, {
    name: 'rm',
    args: ['-f', '--', copyOf(item), ...SIDECARS.map(each => `${copyOf(item)}${each}`)],
  });

function dump(item: Item, fd: number): ReturnType<Database['dump']> {
  const copy = copyOf(item);
  try {
    removeCopy(item);
    // Without a transaction around it, the copy would begin again whenever somebody writes.
    const copied = as(item, {
      name: 'sqlite3',
      args: sqliteArgs(
        item.name,
        'begin; select count(*) from sqlite_master; pragma page_count; pragma user_version;',
        `.backup ${quote(copy)}`,
        'commit;',
      ),
    });
    const [objects, pages, version] = copied.stdout.trim().split('\n');
    // What .backup itself cannot do, it says, and older ones then end with status 0.
    if (copied.status !== 0 || /^Error/m.test(copied.stderr) || version === undefined)
      return {
        reason: copied.reason,
        remedy: `see whether 'sqlite3 ${item.name} .schema' works, as ${item.facts.owner}`,
      };
    const moved = as(item, { name: 'cat', args: ['--', copy], stdout: fd });
    if (moved.status !== 0) return { reason: moved.reason, remedy: `make room beside ${item.name}` };
    return { facts: { objects: objects ?? '', pages: pages ?? '', version } };
  } finally {
    removeCopy(item);
  }
}

function abandon(values: Values): void {
  for (const item of survey(values).items) removeCopy(item);
}

function verify(path: string, { facts }: Item): Problem | undefined {
  const uri = `file:${encodeURI(path).replaceAll(/[?#]/g, encodeURIComponent)}?immutable=1`;
  const sql =
    'select count(*) from sqlite_master; pragma page_count; pragma user_version; pragma quick_check(1);';
  const { status, stdout, reason } = run({
    name: 'sqlite3',
    args: ['-readonly', ...sqliteArgs(uri, sql)],
    isReader: true,
  });
  const expected = [facts.objects, facts.pages, facts.version, 'ok'].join(' ');
  const found = stdout.trim().split('\n').join(' ');
  if (status === 0 && found === expected) return undefined;
  return {
    reason: `it is not whole: ${status === 0 ? `${found}, and not ${expected}` : reason}`,
    remedy: 'see whether the database itself passes pragma integrity_check',
  };
}

const freshOf = ({ name }: Entry, { id }: Restore): string => `${name}.tklbam-hooks-new-${id}`;
const beforeOf = ({ name }: Entry, { id }: Restore): string => `${name}.before-${id}`;
const isThere = (path: string): boolean => attempt(() => lstatSync(path)) !== undefined;

function obstacles({ entries }: Restore, _pathOf: PathOf): readonly Problem[] {
  const open = openFiles();
  return entries.flatMap((entry): Problem[] => {
    const { name, facts } = entry;
    const stat = attempt(() => lstatSync(name));
    const current = stat === undefined || !stat.isFile() ? undefined : ownerName('passwd', stat.uid);
    if (stat !== undefined && current !== facts.owner)
      return [
        {
          reason: `${name} is not a file of ${facts.owner}'s any more`,
          remedy: 'remove it, or give it back',
        },
      ];
    if (runTool('id', '-u', '--', facts.owner ?? '').status !== 0)
      return [{ reason: `the owner of ${name}, ${facts.owner}, is no user here`, remedy: 'make that user' }];
    if (facts.owner === 'root' && pathRefusal(name) !== undefined)
      return [
        {
          reason: `${name} is root's, in a directory where others could put something in its place`,
          remedy: 'correct that',
        },
      ];
    if (as(entry, { name: 'test', args: ['-w', dirname(name)] }).status !== 0)
      return [
        {
          reason: `${facts.owner} cannot write to ${dirname(name)}`,
          remedy: 'make the directory, or correct its mode',
        },
      ];
    const crowded = roomProblems(dirname(name), entry.size);
    if (crowded.length > 0) return crowded;
    return open.get(name)?.map(inUse(name)) ?? [];
  });
}

const inUse =
  (name: string) =>
  (who: string): Problem => ({
    reason: `${who} has ${name} open`,
    remedy: "stop it: a copy of the hook 'services' that sorts before this one does that",
  });

/** Who has which file open, by its path. */
function openFiles(): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, string[]>();
  for (const pid of readdirSync('/proc').filter(name => /^\d+$/.test(name))) {
    for (const fd of attempt(() => readdirSync(`/proc/${pid}/fd`)) ?? []) {
      const path = attempt(() => readlinkSync(`/proc/${pid}/fd/${fd}`));
      if (path?.startsWith('/') !== true) continue;
      const main = path.replace(SIDECAR, '');
      const who = `${commOf(pid)} (pid ${pid})`;
      if (found.get(main)?.includes(who) !== true) found.set(main, [...(found.get(main) ?? []), who]);
    }
  }
  return found;
}

function load(restore: Restore, pathOf: PathOf): Problem | undefined {
  for (const entry of restore.entries) {
    const fresh = freshOf(entry, restore);
    const fd = openSync(pathOf(entry), 'r');
    try {
      const written = as(entry, {
        name: 'dd',
        args: [`of=${fresh}`, 'bs=1M', 'conv=excl,fsync', 'status=none'],
        stdin: fd,
      });
      if (written.status !== 0)
        return { reason: written.reason, remedy: `make room in ${dirname(entry.name)}` };
    } finally {
      closeSync(fd);
    }
    const { group = '', mode = '600' } = entry.facts;
    for (const [name, value] of [
      ['chgrp', group],
      ['chmod', mode],
    ] as const) {
      const { status, reason } = as(entry, { name, args: [value, '--', fresh] });
      if (status !== 0) return { reason, remedy: `have ${entry.facts.owner} be in the group ${group}` };
    }
    const checked = as(entry, {
      name: 'sqlite3',
      args: ['-readonly', ...sqliteArgs(fresh, 'pragma quick_check(1);')],
    });
    for (const each of SIDECARS) as(entry, { name: 'rm', args: ['-f', '--', `${fresh}${each}`] });
    if (checked.stdout.trim() !== 'ok') return { reason: checked.reason, remedy: 'take another backup' };
  }
  return undefined;
}

function switchOver(restore: Restore): Problem | undefined {
  for (const entry of restore.entries) {
    const [who] = openFiles().get(entry.name) ?? [];
    if (who !== undefined) return inUse(entry.name)(who);
    const problem = replace(entry, restore);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

function replace(entry: Entry, restore: Restore): Problem | undefined {
  const { name } = entry;
  const [fresh, before] = [freshOf(entry, restore), beforeOf(entry, restore)];
  const steps: (readonly [tool: string, ...args: string[]])[] = [];
  if (isThere(name)) {
    // Takes in what the write-ahead log or the journal holds, and removes it. A damaged database keeps these.
    const settled = as(entry, {
      name: 'sqlite3',
      args: sqliteArgs(name, 'begin exclusive; commit; pragma wal_checkpoint(truncate);'),
    });
    if (/locked/.test(settled.stderr))
      return { reason: `${name}: ${settled.reason}`, remedy: 'stop what uses it' };
    steps.push(['ln', '--', name, before]);
    // Left there, they would be taken for the new file's.
    for (const each of SIDECARS.filter(sidecar => isThere(`${name}${sidecar}`)))
      steps.push(['mv', '-T', '--', `${name}${each}`, `${before}${each}`]);
    // The new file keeps its other name until all are in their place: what was there before cannot be mistaken for it.
    steps.push(['ln', '--', fresh, `${fresh}-journal`], ['mv', '-T', '--', `${fresh}-journal`, name]);
  } else steps.push(['ln', '--', fresh, name]);
  for (const [tool, ...args] of steps) {
    const { status, reason } = as(entry, { name: tool, args });
    if (status !== 0) return { reason, remedy: 'mend that' };
  }
  const { status, reason } = runTool('sync', dirname(name));
  return status === 0 ? undefined : { reason, remedy: 'mend that' };
}

function switchBack(restore: Restore): Problem | undefined {
  for (const entry of restore.entries) {
    const { name } = entry;
    const [fresh, before] = [freshOf(entry, restore), beforeOf(entry, restore)];
    const [current, loaded] = [name, fresh].map(path => attempt(() => lstatSync(path).ino));
    const isNew = current !== undefined && current === loaded;
    const steps: (readonly [tool: string, ...args: string[]])[] = [];
    if (isNew) steps.push(['rm', '-f', '--', ...SIDECARS.map(each => `${name}${each}`)]);
    if (isThere(before)) {
      for (const each of SIDECARS.filter(sidecar => isThere(`${before}${sidecar}`)))
        steps.push(['mv', '-T', '--', `${before}${each}`, `${name}${each}`]);
      // Two names of one file: mv would leave both.
      if (current === attempt(() => lstatSync(before).ino)) steps.push(['rm', '--', before]);
      else steps.push(['mv', '-T', '--', before, name]);
    } else if (isNew) steps.push(['rm', '-f', '--', name]);
    steps.push(['rm', '-f', '--', fresh, ...SIDECARS.map(each => `${fresh}${each}`)]);
    for (const [tool, ...args] of steps) {
      const { status, reason } = as(entry, { name: tool, args });
      if (status !== 0) return { reason, remedy: 'mend that' };
    }
  }
  return undefined;
}

function finish(restore: Restore): Problem | undefined {
  for (const entry of restore.entries) {
    const { status, reason } = as(entry, { name: 'rm', args: ['-f', '--', freshOf(entry, restore)] });
    if (status !== 0) return { reason, remedy: 'mend that' };
  }
  return undefined;
}

function dropOld(restore: Restore): Problem | undefined {
  for (const entry of restore.entries) {
    const before = beforeOf(entry, restore);
    const { status, reason } = as(entry, {
      name: 'rm',
      args: ['-f', '--', before, ...SIDECARS.map(each => `${before}${each}`)],
    });
    if (status !== 0) return { reason, remedy: 'mend that' };
  }
  return undefined;
}

function whereOld(restore: Restore): string | undefined {
  const all = restore.entries.map(entry => beforeOf(entry, restore)).filter(isThere);
  return all.length === 0 ? undefined : listed(all);
}
