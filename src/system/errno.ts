// Where a failure is an answer, and where what was read may be anything.
import { statSync } from 'node:fs';

/** Undefined if it throws. */
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
  const known: Readonly<Record<string, string>> = {
    EACCES: 'permission denied',
    EAGAIN: 'too many processes',
    EIO: 'input/output error',
    ELOOP: 'too many links',
    EDQUOT: 'the disk quota is used up',
    EMFILE: 'too many open files',
    ENAMETOOLONG: 'its name is too long',
    ENFILE: 'too many open files',
    ENOENT: 'it is gone',
    ENOMEM: 'out of memory',
    ENOSPC: 'no space left on the device',
    ENOTDIR: 'not a directory',
    EPERM: 'not permitted',
    EROFS: 'the file system is read-only',
  };
  const text = known[code];
  return text === undefined ? code : `${text} (${code})`;
}

export const isDirectory = (path: string): boolean => attempt(() => statSync(path).isDirectory()) === true;
