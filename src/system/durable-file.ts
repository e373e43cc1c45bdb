// Files that are there, whole, after a power cut.
import {
  closeSync,
  constants,
  fchmodSync,
  fdatasyncSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  renameSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { attempt, errnoOf } from './errno.ts';
import { randomHex } from './random.ts';

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

/**
 * Adds to the end of a file. Throws the error of the system call that fails, and the file is then as it was; after a power cut, a part of
 * what was added may be there.
 */
export function appendDurably(path: string, text: string): void {
  const { O_WRONLY, O_APPEND, O_NOFOLLOW, O_NONBLOCK } = constants;
  const fd = openSync(path, O_WRONLY | O_APPEND | O_NOFOLLOW | O_NONBLOCK);
  try {
    const { size } = fstatSync(fd);
    try {
      for (let rest = Buffer.from(text); rest.length > 0; ) rest = rest.subarray(writeSync(fd, rest));
      fdatasyncSync(fd);
    } catch (error) {
      ftruncateSync(fd, size);
      throw error;
    }
  } finally {
    closeSync(fd);
  }
}

/** As `replaceDurably`, for all to read, and not on disk at once. In a directory of others, it is never a file of theirs that is written. */
export function replacePublicly(path: string, content: string): void {
  const fresh = `${path}.${randomHex(8)}`;
  const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
  const fd = openSync(fresh, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
  try {
    writeFileSync(fd, content);
    fchmodSync(fd, 0o644);
    renameSync(fresh, path);
  } catch (error) {
    attempt(() => unlinkSync(fresh));
    throw error;
  } finally {
    closeSync(fd);
  }
}

/** Removes a file, if it is there, and what a kill in `replaceDurably` has left of it. Throws if it cannot. */
export function removeDurably(path: string): void {
  attempt(() => unlinkSync(`${path}.new`));
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
export function syncDirectory(path: string): void {
  const fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
