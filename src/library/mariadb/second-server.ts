// A second server of MariaDB, on a copy of the data directory, which nobody but us can reach.
import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import { escapeControls } from '../../cli/text.ts';
import { randomHex } from '../../system/random.ts';
import type { Entry, PathOf, Restore } from '../database/database.ts';
import { allAs, as, endWorkersIn, freshIn, makeFresh, type Swap, workersIn } from '../database/swap.ts';
import type { Problem } from '../hook.ts';
import { pause } from '../tool.ts';
import { type Access, ask, isDown, query, quoted } from './client.ts';
import { type Account, SANDBOX, untouchable, usersError, usersScript } from './text.ts';

/** What has to be known of the service's server while it is down. Its data directory is the only name of the swap. */
export interface Server extends Omit<Swap, 'id'> {
  /** Whose it is. `user` is root, who alone can rename it. */
  readonly owner: string;
  /** How it was started. */
  readonly program: string;
  readonly args: readonly string[];
  /** By which we are let in. */
  readonly account: Account;
}

/** Where it works: the copy, which becomes the data directory. */
export const copyIn = (server: Server, { id }: Pick<Restore, 'id'>): string =>
  `${freshIn({ ...server, id })}/${server.names[0]}`;

/** Copies the data directory of a server that is down, and has another one load the dumps into the copy. */
export function loadBeside(server: Server, restore: Restore, pathOf: PathOf): Problem | undefined {
  const { owner } = server;
  const fresh = freshIn({ ...server, id: restore.id });
  const copy = copyIn(server, restore);
  const own = `${fresh}/own`;
  const install = (path: string): [string, ...string[]] => ['install', '-d', '-o', owner, '-m', '700', path];
  const made =
    makeFresh({ ...server, id: restore.id }) ??
    allAs('root', ['chmod', '711', fresh], install(own), install(copy)) ??
    copyData(server, copy);
  if (made !== undefined) return made;
  try {
    const problem =
      start(server, own, copy) ?? loadAll(server, restore, pathOf, own) ?? stop(server, own, copy);
    if (problem !== undefined) return problem;
  } finally {
    endWorkersIn(copy);
  }
  // As the old one, for who looks into it.
  const like = `--reference=${dataOf(server)}`;
  return allAs('root', ['chown', like, '--', copy], ['chmod', like, '--', copy]);
}

function loadAll(server: Server, { entries }: Restore, pathOf: PathOf, own: string): Problem | undefined {
  const access = accessIn(own);
  const { owner: user } = server;
  const databases = entries.filter(each => !isUsers(each));
  const drops = databases.map(({ facts }) => `drop database if exists ${quoted(facts.database ?? '')};\n`);
  const dropped = ask(access, drops.join(''), { user });
  if (dropped.status !== 0) return { reason: dropped.reason, remedy: 'mend that' };
  // Rights are of tables and routines, which have to be there.
  for (const entry of [...databases, ...entries.filter(isUsers)]) {
    const path = pathOf(entry);
    const problem = isUsers(entry)
      ? loadUsers(server, readFileSync(path, 'utf8'), access)
      : loadDatabase(path, access, user);
    if (problem !== undefined) return { ...problem, reason: `${entry.name}: ${problem.reason}` };
  }
  return undefined;
}

export const isUsers = ({ facts }: Pick<Entry, 'facts'>): boolean => facts.what === 'users';

const accessIn = (own: string): Access => ({ args: [`--defaults-file=${own}/client.cnf`], env: {} });

function loadDatabase(path: string, access: Access, user: string): Problem | undefined {
  const stdin = openSync(path, 'r');
  try {
    skipSandbox(stdin);
    // What is in a dump must not be a command to the client, such as one for a shell.
    const args = [...access.args, '--binary-mode', '--max-allowed-packet=1G'];
    const { status, reason } = ask(access, stdin, { user, args });
    return status === 0 ? undefined : { reason, remedy: 'mend that, or take another backup' };
  } finally {
    closeSync(stdin);
  }
}

/** Not every client knows the command in it, and with --binary-mode none has others to be kept from. */
function skipSandbox(fd: number): void {
  const head = Buffer.alloc(100);
  const [line] = SANDBOX.exec(head.toString('latin1', 0, readSync(fd, head, 0, head.length, 0))) ?? [];
  // From where it is, which goes on.
  if (line !== undefined) readSync(fd, head, 0, line.length, null);
}

function loadUsers({ owner, account }: Server, dump: string, access: Access): Problem | undefined {
  const accounts = query(access, 'select user, host from mysql.user', { user: owner }).map(
    ([user = '', host = '']) => ({ user, host }),
  );
  // A role that is there, and the rights of a proxy, can only be granted by whom they were granted to for that.
  const admitted = ask(
    access,
    `insert ignore into mysql.roles_mapping (host, user, role, admin_option)
      select 'localhost', substring_index(user(), '@', 1), user, 'Y' from mysql.user where is_role = 'Y';
      insert into mysql.proxies_priv (host, user, proxied_host, proxied_user, with_grant, grantor)
      values ('localhost', substring_index(user(), '@', 1), '', '', 1, '');
      flush privileges`,
    { user: owner },
  );
  if (admitted.status !== 0) return { reason: admitted.reason, remedy: 'mend that' };
  const { status, stderr, reason } = ask(access, usersScript(dump, untouchable(accounts, account)), {
    user: owner,
    args: [...access.args, '--binary-mode', '--force'],
  });
  const error = usersError(stderr);
  if (error === undefined && (status === 0 || stderr !== '')) return undefined;
  return { reason: error ?? reason, remedy: 'mend that, or take another backup' };
}

/** With the copy as its working directory, it is found and ended with all others there. */
const inDirectory = (directory: string, ...command: readonly string[]): readonly string[] => [
  `--chdir=${directory}`,
  ...command,
];

function copyData(server: Server, copy: string): Problem | undefined {
  const { directory, owner } = server;
  const { status, reason } = as(owner, {
    name: 'env',
    args: inDirectory(copy, 'cp', '-a', '--reflink=auto', '--', `${dataOf(server)}/.`, '.'),
  });
  return status === 0 ? undefined : { reason, remedy: `make room in ${directory}` };
}

/** Its data directory. */
export const dataOf = ({ directory, names }: Server): string => `${directory}/${names[0]}`;

/** With the arguments of the service's, so that it reads the same settings, and others behind them, which count. */
function start(server: Server, own: string, copy: string): Problem | undefined {
  const { program, args, owner } = server;
  const [user, password] = [`tklbam-hooks-${randomHex(4)}`, `Aa1!${randomHex(16)}`];
  const account = `'${user}'@'localhost'`;
  const write = (name: string, stdin: string): Problem | undefined => {
    const { status, reason } = as(owner, { name: 'dd', args: [`of=${own}/${name}`, 'status=none'], stdin });
    return status === 0 ? undefined : { reason, remedy: 'make room there' };
  };
  // Whatever the accounts in it are: it has one of its own, as long as it runs.
  const written =
    write(
      'init.sql',
      `CREATE OR REPLACE USER ${account} IDENTIFIED BY '${password}';\nGRANT ALL PRIVILEGES ON *.* TO ${account} WITH GRANT OPTION;\n`,
    ) ?? write('client.cnf', `[client]\nuser=${user}\npassword=${password}\nsocket=${own}/socket\n`);
  if (written !== undefined) return written;
  const settings = {
    datadir: copy,
    socket: `${own}/socket`,
    'pid-file': `${own}/pid`,
    'log-error': `${own}/log.err`,
    'init-file': `${own}/init.sql`,
    'event-scheduler': 'OFF',
    'general-log': '0',
    'slow-query-log': '0',
    'max-allowed-packet': '1G',
    // A table that was made without it could not be made again.
    'innodb-strict-mode': '0',
    // All of it is written when it stops; until then, it is of no use.
    'innodb-flush-log-at-trx-commit': '0',
  };
  const more = Object.entries(settings).map(([name, value]) => `--${name}=${value}`);
  const flags = ['--skip-networking', '--skip-log-bin', '--skip-slave-start'];
  const { status, reason } = as(owner, {
    name: 'env',
    args: inDirectory(copy, 'setsid', '--fork', program, ...args, ...more, ...flags),
  });
  if (status !== 0) return { reason, remedy: `see whether ${program} starts` };
  for (;;) {
    const isGone = workersIn(copy).length === 0;
    const answer = ask(accessIn(own), 'select 1', { user: owner });
    if (answer.status === 0) return undefined;
    if (!isDown(answer)) return { reason: answer.reason, remedy: 'mend that' };
    if (isGone) return failure(server, own);
    pause(100);
  }
}

function failure({ owner }: Server, own: string): Problem {
  const lines = logOf(owner, own);
  const why = lines.findLast(line => line.includes('[ERROR]')) ?? lines.at(-1) ?? 'it said nothing';
  return { reason: `a server beside it failed: ${escapeControls(why)}`, remedy: 'mend that' };
}

function logOf(owner: string, own: string): string[] {
  const { stdout } = as(owner, { name: 'tail', args: ['-n', '50', '--', `${own}/log.err`] });
  return stdout.split('\n').filter(line => line !== '');
}

/** Only then is all on disk. */
function stop(server: Server, own: string, copy: string): Problem | undefined {
  const { owner } = server;
  const dropped = ask(
    accessIn(own),
    'set @drop = concat("drop user ", quote(substring_index(user(), "@", 1)), "@localhost"); execute immediate @drop; shutdown',
    { user: owner },
  );
  if (dropped.status !== 0) return { reason: dropped.reason, remedy: 'mend that' };
  while (workersIn(copy).length > 0) pause(50);
  return logOf(owner, own).at(-1)?.includes('Shutdown complete') ? undefined : failure(server, own);
}
