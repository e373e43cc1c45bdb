// Files that are there, whole, after a power cut.
import { closeSync, constants, fsyncSync, openSync, renameSync, unlinkSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { attempt, errnoOf } from './errno.ts';

/**
 * The old content or the new, whatever happens. Readable for its owner alone. `content` gets the descriptor of the new file. Throws the error
 * of the system call that fails.
 */
export function replaceDurably(path: string, content: (fd: number) => string): void {
  // A leftover of a process that was killed, or somebody's link: never written through.
  attempt(() => unlinkSync(`${path}.new`));
  const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
  const fd = openSync(`${path}.new`, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
  try {
    for (let rest = Buffer.from(content(fd)); rest.length > 0; ) rest = rest.subarray(writeSync(fd, rest));
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  renameSync(`${path}.new`, path);
  syncDirectory(dirname(path));
}

/** Removes a file, if it is there. Throws if it cannot. */
export function removeDurably(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return;
    throw error;
  }
  // Without fsync a power cut can bring the file back; that is no failure.
  attempt(() => syncDirectory(dirname(path)));
}

/** fsync(2) of a directory: a name that was made or removed in it stays so. */
function syncDirectory(path: string): void {
  const fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
