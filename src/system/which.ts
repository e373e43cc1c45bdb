// Where programs are: those that hooks and commands are to find, and our own helpers.
import { accessSync, constants, existsSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Environment } from '../types.ts';
import { pathRefusal } from './trust.ts';

/** Where Debian installs programs, whoever calls: cron(8) and Webmin leave the sbin directories out. */
export const STANDARD_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/**
 * The PATH of hooks: that of the caller, with each standard directory that it lacks at its end. A relative or empty entry would lead
 * wherever the hook happens to be, which may be in what a stranger has backed up, and is left out.
 */
export function searchPath(path: string | undefined): string {
  return [...new Set([...absolute(path), ...STANDARD_PATH.split(':')])].join(':');
}

/** The absolute entries of a list of directories with colons between them. */
export const absolute = (list: string | undefined): string[] =>
  (list ?? '').split(':').filter(directory => directory.startsWith('/'));

/** The absolute path of a program in the directories of a search path; undefined if it is in none. */
export function findProgram(name: string, path: string): string | undefined {
  return path
    .split(':')
    .map(directory => `${directory}/${name}`)
    .find(isExecutable);
}

/**
 * The absolute path of a program that we start ourselves and believe, as gpgv(1) or flock(1); undefined if there is none. The caller's PATH
 * does not count, nor does a file or directory that others than root and we can write to, as /usr/local/bin may be for group staff.
 */
export const findHelper = (name: string): string | undefined => findHelperIn(STANDARD_PATH, name);

/** ... in these directories, with colons between them. */
export function findHelperIn(path: string, name: string): string | undefined {
  return path
    .split(':')
    .map(directory => `${directory}/${name}`)
    .find(file => isExecutable(file) && pathRefusal(file) === undefined);
}

/** All that a helper gets: nothing of the caller's, of which some variables are code (BASH_ENV, LD_PRELOAD, PYTHONPATH). */
export const HELPER_ENV: Environment = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' };

/** Whether it is a file that we may execute. */
export function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}

/** The absolute path of what a shell would run; or 127 if there is none, 126 if it may not be executed (env(1)). */
export function findCommand(name: string, cwd: string, path: string): string | 126 | 127 {
  const candidates = name.includes('/')
    ? [resolve(cwd, name)]
    : path.split(':').map(directory => resolve(cwd, directory, name));
  return candidates.find(isExecutable) ?? (candidates.some(file => existsSync(file)) ? 126 : 127);
}
