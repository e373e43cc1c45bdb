// Files that are there, whole, after a power cut.
import { closeSync, constants, fsyncSync, openSync, renameSync, unlinkSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { attempt, errnoOf } from './errno.ts';

/**
 * The old content or the new, whatever happens. Readable for its owner alone. `content` gets the descriptor of the new file. Throws the error
 * of the system call that fails.
 */
export function replaceDurably(path: string, content: (fd: number) => string): void {
  // What is there is of one who was killed, or was put there by somebody: never written through.
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

/** One that is missing is as good. Throws if it cannot be taken away. */
export function removeDurably(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return;
    throw error;
  }
  // It is gone, even if a power cut can bring it back.
  attempt(() => syncDirectory(dirname(path)));
}

/** So that a name that was made or taken away in it stays so. */
function syncDirectory(path: string): void {
  const fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
