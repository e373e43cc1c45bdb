// Where our own tools are: gpgv, and those that set a clock.
import { accessSync, constants, statSync } from 'node:fs';

const STANDARD = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/**
 * The directories to look for programs in: those of PATH, and behind them the standard ones whatever PATH is (cron(8) and Webmin leave
 * the sbin directories out). A relative one would lead wherever the caller happens to be, and does not count.
 */
export function searchPath(path: string | undefined): string {
  const given = (path ?? '').split(':').filter(directory => directory.startsWith('/'));
  return [...new Set([...given, ...STANDARD.split(':')])].join(':');
}

/** The absolute path of a program in the directories of a search path; undefined if it is in none. */
export function findProgram(name: string, path: string): string | undefined {
  return path
    .split(':')
    .map(directory => `${directory}/${name}`)
    .find(isExecutable);
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}
