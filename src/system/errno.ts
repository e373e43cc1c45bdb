// Errors of system calls: as values, by name, and in words.
import { statSync } from 'node:fs';
import { getSystemErrorMap } from 'node:util';

/** What `look` returns; undefined if it throws. */
export function attempt<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch {
    return undefined;
  }
}

/** The name of a system call's error, as errno(3) has it; of anything else, the message. */
export function errnoOf(error: unknown): string {
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') return error.code;
  return error instanceof Error ? error.message : String(error);
}

/** As strerror(3) has it, for the errors that an administrator can meet here. */
export function describeErrno(code: string): string {
  const text = OUR_WORDS[code] ?? [...getSystemErrorMap().values()].find(([name]) => name === code)?.[1];
  return text === undefined ? code : `${text} (${code})`;
}

/** Our words where those of strerror(3) do not say what to look for. */
const OUR_WORDS: Readonly<Record<string, string>> = {
  EAGAIN: 'too many processes',
  EDQUOT: 'the disk quota is used up',
  EISDIR: 'it is a directory',
  ELOOP: 'too many links',
  EMFILE: 'too many open files',
  ENAMETOOLONG: 'its name is too long',
  ENFILE: 'too many open files',
  ENOENT: 'it is gone',
  ENOMEM: 'out of memory',
  ENOSPC: 'no space left on the device',
  EPERM: 'not permitted',
  EROFS: 'the file system is read-only',
};

/** The error of a system call at a path, as a line; undefined for any other error, which is a bug of ours. */
export function describeSystemError(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('syscall' in error) || !('path' in error)) return undefined;
  const code = errnoOf(error);
  const hint =
    (code === 'EACCES' || code === 'EPERM') && process.geteuid?.() !== 0 ? ' (run it as root)' : '';
  return `cannot ${error.syscall} '${error.path}': ${describeErrno(code)}${hint}`;
}

export const isDirectory = (path: string): boolean => attempt(() => statSync(path).isDirectory()) === true;
