// How a server of MariaDB or MySQL is asked.
import { existsSync } from 'node:fs';
import { userInfo } from 'node:os';
import { escapeControls } from '../../cli/text.ts';
import { describePathRefusal } from '../../report/verdicts.ts';
import { pathRefusal } from '../../system/trust.ts';
import type { Environment } from '../../types.ts';
import type { Problem, Values } from '../hook.ts';
import { type Ended, hasTool, run, type Tool } from '../tool.ts';

/** What its programs need to be let in. */
export interface Access {
  readonly args: readonly string[];
  readonly env: Environment;
}

/** Also of MySQL, and of older packages. */
export const clientName = (): string | undefined => ['mariadb', 'mysql'].find(hasTool);

/** Each may be it, the first that is let in is. */
function accesses(defaultsFile: string | undefined): readonly Access[] {
  const byFile = (path: string): Access => ({ args: [`--defaults-file=${path}`], env: {} });
  if (defaultsFile !== undefined) return [byFile(defaultsFile)];
  // As root by the socket, or with the password of ~/.my.cnf; else as Debian's own maintenance does.
  const asRoot: Access = { args: [], env: { HOME: userInfo().homedir } };
  const maintenance = '/etc/mysql/debian.cnf';
  return existsSync(maintenance) ? [asRoot, byFile(maintenance)] : [asRoot];
}

const FLAGS = ['-N', '-B', '--default-character-set=utf8mb4'];

/** Runs statements. Their rows are for `parseRows`. */
export const ask = ({ args, env }: Access, stdin: string | number, more: Partial<Tool> = {}): Ended =>
  withError(run({ name: clientName() ?? 'mariadb', args: [...args, ...FLAGS], env, stdin, ...more }));

/** What the client says of an error can go on in further lines, which hold part of the statement. */
const withError = (ended: Ended): Ended => {
  const error = ended.stderr.split('\n').find(line => line.startsWith('ERROR '));
  return error === undefined ? ended : { ...ended, reason: escapeControls(error) };
};

/** How we are let in, or what the server said. */
export function findAccess(defaultsFile?: string): Access | Ended {
  let refused: Ended | undefined;
  for (const access of accesses(defaultsFile)) {
    const answer = ask(access, 'select 1');
    if (answer.status === 0) return access;
    refused ??= answer;
    if (!isLockedOut(answer)) break;
  }
  return refused ?? ask({ args: [], env: {} }, 'select 1');
}

const isLockedOut = ({ stderr }: Ended): boolean => /ERROR (?:1045|1698)\b/.test(stderr);

/** There is no server where it was looked for. */
export const isDown = ({ stderr }: Ended): boolean => /ERROR 200[23]\b/.test(stderr);

/** `findAccess` by the settings of the hook. */
export function accessOf({ DEFAULTS_FILE }: Values): Access | Problem {
  if (clientName() === undefined)
    return { reason: 'the client of MariaDB is not installed', remedy: 'apt install mariadb-client' };
  if (DEFAULTS_FILE !== undefined) {
    const refusal = pathRefusal(DEFAULTS_FILE);
    if (refusal !== undefined) {
      const { reason, remedy } = describePathRefusal(refusal, DEFAULTS_FILE);
      return { reason: `DEFAULTS_FILE: ${reason}`, remedy };
    }
    if (!existsSync(DEFAULTS_FILE))
      return { reason: `DEFAULTS_FILE '${DEFAULTS_FILE}': there is no such file`, remedy: 'correct that' };
  }
  const found = findAccess(DEFAULTS_FILE);
  if ('args' in found) return found;
  const remedy = isLockedOut(found)
    ? 'let root in by the socket, or name a file with user and password in DEFAULTS_FILE'
    : 'start it, or correct DEFAULTS_FILE';
  return { reason: `MariaDB does not let us in: ${found.reason}`, remedy };
}

/** Cells of lines, with tabs between them, in which the client writes some characters with a backslash. Pure. */
export const parseRows = (text: string): string[][] =>
  text
    .split('\n')
    .filter(line => line !== '')
    .map(line =>
      line
        .split('\t')
        .map(cell =>
          cell.replaceAll(
            /\\([0nt\\])/g,
            (_, letter: string) => ({ '0': '\0', n: '\n', t: '\t' })[letter] ?? '\\',
          ),
        ),
    );

/** The rows of one query. Throws if there are none to be had. */
export function query(access: Access, sql: string, more?: Partial<Tool>): string[][] {
  const { status, stdout, reason } = ask(access, sql, more);
  if (status !== 0) throw new Error(`MariaDB: ${reason}`);
  return parseRows(stdout);
}

/** Those of the server, in a statement; to be compared as bytes, since by its own rules a database SYS would be one of them. */
export const OWN_DATABASES = ['information_schema', 'performance_schema', 'mysql', 'sys']
  .map(name => `binary '${name}'`)
  .join(', ');

/** A name in a statement. */
export const quoted = (name: string): string => `\`${name.replaceAll('`', '``')}\``;
