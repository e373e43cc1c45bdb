// The directory that a program is started in.
import { accessSync, closeSync, constants, openSync, statSync } from 'node:fs';
import { hasRawBytes, toBytes } from '../system/bytes.ts';
import { attempt, errnoOf } from '../system/errno.ts';
import type { Defect } from '../types.ts';

/** Our working directory at the start. If its name is not UTF-8, Node.js' form of it leads nowhere: then it is kept open. */
const own = attempt(() => process.cwd());
const fd =
  own?.includes('\ufffd') === true
    ? attempt(() => openSync('.', constants.O_RDONLY | constants.O_DIRECTORY))
    : undefined;

/** A name of the directory that a child can be started in. */
export const startIn = (directory: string): string =>
  fd !== undefined && directory === own ? `/proc/self/fd/${fd}` : directory;

/** Calls `start` with what leads a child that it starts to a directory, whose name may have bytes that are not UTF-8. */
export function startingIn<T>(directory: string, start: (cwd: string) => T): T {
  const opened = hasRawBytes(directory)
    ? attempt(() => openSync(toBytes(directory), constants.O_RDONLY | constants.O_DIRECTORY))
    : undefined;
  try {
    return start(opened === undefined ? startIn(directory) : `/proc/self/fd/${opened}`);
  } finally {
    if (opened !== undefined) closeSync(opened);
  }
}

/** Why a program could not be started, by the errno name. chdir(2) fails with the same as execve(2), and is asked for first. */
export function startDefect(code: string, directory: string): Defect {
  if (code === 'EACCES' || code === 'ENOENT' || code === 'ENOTDIR') {
    const cwd = hasRawBytes(directory) ? toBytes(directory) : startIn(directory);
    try {
      accessSync(cwd, constants.X_OK);
      if (!statSync(cwd).isDirectory()) return { kind: 'directory', directory, code: 'ENOTDIR' };
    } catch (error) {
      return { kind: 'directory', directory, code: errnoOf(error) };
    }
  }
  return { kind: 'system', code };
}
