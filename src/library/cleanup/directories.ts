// CLEAN of cleanup.conf: what is to be cleaned, and what nobody can have meant. Pure.
import { words } from '../settings.ts';

export interface Directory {
  readonly path: string;
  /** As tmpfiles.d(5) has it: `7d`, `12h`. */
  readonly age: string;
}

export const wantsApt = (value: string | undefined): boolean => words(value).includes('apt');

export const directoriesOf = (value: string | undefined): Directory[] =>
  words(value).flatMap(word => parseDirectory(word) ?? []);

const parseDirectory = (word: string): Directory | undefined => {
  const [, path, age] = /^(\/.*):([1-9]\d{0,4}[hd])$/.exec(word) ?? [];
  return path === undefined || age === undefined ? undefined : { path, age };
};

/** A rule for CLEAN. */
export function cleanRule(value: string): string | undefined {
  for (const word of words(value).filter(each => each !== 'apt')) {
    const directory = parseDirectory(word);
    if (directory === undefined) {
      return `has '${word}', which is neither apt nor an absolute path with an age behind it, in days or hours: /srv/app/cache:7d`;
    }
    const lack = pathLack(directory.path);
    if (lack !== undefined) return `has '${directory.path}', ${lack}`;
  }
  return undefined;
}

/** Of a path, what keeps it from being cleaned, to follow upon it. */
export function pathLack(path: string): string | undefined {
  const parts = path.slice(1).split('/');
  if (path !== '/' && parts.some(part => ['', '.', '..'].includes(part)))
    return "which has to be written without '.', '..', '//' and '/' at its end";
  if (/[%*?[\]{}\\"'$]/.test(path)) return 'with a character that means something else in tmpfiles.d(5)';
  const isVital =
    AS_A_WHOLE.some(pattern => pattern.test(path)) ||
    WITH_ALL_BELOW.some(vital => path === vital || path.startsWith(`${vital}/`));
  return isVital ? 'which holds more than temporary files' : undefined;
}

/** The homes of users and the data of services, of which a part may well be temporary, are among them. */
const AS_A_WHOLE = [
  /^\/$/,
  /^\/(?:home|lost\+found|media|mnt|opt|root|srv|var)$/,
  /^\/home\/[^/]+$/,
  /^\/var\/(?:backups|cache|lib|local|mail|opt|spool|www)$/,
  /^\/var\/(?:lib|spool|www)\/[^/]+$/,
];
const WITH_ALL_BELOW = [
  ...words('/bin /boot /dev /etc /lib /lib32 /lib64 /libx32 /proc /run /sbin /sys /usr /TKLBAM'),
  ...words('/var/run /var/lock /var/cache/debconf /var/mail /var/spool/cron'),
  // Lintian takes a program with the path of dpkg's database in it for one that reads it.
  ...words('apt dpkg systemd tklbam tklbam-hooks').map(name => `/var/lib/${name}`),
];

/**
 * Lines of tmpfiles.d(5). By the time of change of the content alone where systemd can: a backup or chmod(1) touches the others. What it
 * keeps for the private /tmp of services is left alone.
 */
export function tmpfilesLines(directories: readonly Directory[], knowsAgeBy: boolean): string {
  return directories
    .flatMap(({ path, age }) => [
      `d ${path} - - - ${knowsAgeBy ? 'mM:' : ''}${age}`,
      `x ${path}/systemd-private-*`,
    ])
    .map(line => `${line}\n`)
    .join('');
}

/** Of `systemd-tmpfiles --version`; 0 if it cannot be told. */
export const systemdVersion = (text: string): number => Number(/^systemd (\d+)/.exec(text)?.[1] ?? 0);
