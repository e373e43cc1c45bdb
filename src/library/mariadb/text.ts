// What dumps and answers of MariaDB say, as far as it matters here. Pure.

/** The last line of a dump that came to its end. */
export const END_OF_DUMP = '-- Dump completed\n';

/** The first line of newer dumps, which has the client refuse commands. */
export const SANDBOX = /^\/\*M?!999999\\-.*\n/;

/** Whether a version, as in `MariaDB 10.11.6-…`, is of an older series than another one. */
export function isOlder(version: string, other: string): boolean {
  const [one, two] = [version, other].map(each => /(\d+)\.(\d+)/.exec(each) ?? []);
  const [major, minor] = [1, 2].map(index => Number(one?.[index]) - Number(two?.[index]));
  return (major || minor || 0) < 0;
}

/** As in rows of mysql.user. */
export interface Account {
  readonly user: string;
  readonly host: string;
}

/** By whom the machine itself gets in. */
const MACHINE = ['root', 'mysql', 'mariadb.sys', 'debian-sys-maint'];

/** Those of the accounts that there are which a restore leaves as they are: it could lock the administrator out. */
export const untouchable = (accounts: readonly Account[], own: Account): Account[] =>
  accounts.filter(({ user, host }) => MACHINE.includes(user) || (user === own.user && host === own.host));

const NAME = /[`'](?:[^`'\\]|``|''|\\.)*[`']/;
/** An account, as it stands in a statement, the last one of a line. */
const ACCOUNT = new RegExp(
  `^.*\\b(?:USER IF NOT EXISTS|ALTER USER|TO|FOR) (${NAME.source})@(${NAME.source})`,
);
/** Which takes nothing from who gets it, and without which nobody could grant a role that was missing. */
const GRANT_OF_ROLE = new RegExp(`^(?:/\\*M!\\d+ )?GRANT ${NAME.source} TO `);
const CREATE = /^CREATE USER IF NOT EXISTS (.+);$/;

/**
 * Of a dump of users, the statements that give these the passwords and rights they had, whether they are there or not. mariadb-dump has
 * the choice between those that leave out who is there (--insert-ignore), and those that drop them first (--replace), root too.
 */
export function usersScript(dump: string, kept: readonly Account[]): string {
  const isKept = (line: string): boolean => {
    const [, user, host] = (ACCOUNT.exec(line) ?? []).map(plain);
    return !GRANT_OF_ROLE.test(line) && kept.some(each => each.user === user && each.host === host);
  };
  return dump
    .replace(SANDBOX, '')
    .split('\n')
    .filter(line => !isKept(line))
    .map(line => {
      const [, account = ''] = CREATE.exec(line) ?? [];
      // Without more than a name it says nothing of the account.
      return /\s/.test(account.replace(ACCOUNT_ALONE, '')) ? `${line}\nALTER USER ${account};` : line;
    })
    .join('\n');
}

const ACCOUNT_ALONE = new RegExp(`^${NAME.source}@${NAME.source}`);

const plain = (name: string): string => {
  const quote = name[0] ?? '';
  return name.slice(1, -1).replaceAll(quote + quote, quote);
};

/** What keeps rights from being given, and no restore from its end: they are of tables or routines that are in no dump. */
const NOTHING_THERE = ['1146', '1305', '1147', '1403'];

/** The first error that counts, of all that the client wrote. */
export const usersError = (stderr: string): string | undefined =>
  stderr
    .split('\n')
    .find(line => line.startsWith('ERROR') && !NOTHING_THERE.includes(/^ERROR (\d+)/.exec(line)?.[1] ?? ''));
