// Whether somebody else than root or ourselves decides what is at a path.
import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';
import type { DirectoryFacts, FileFacts, Refusal } from '../types.ts';
import { encodeBytes } from './bytes.ts';
import { errnoOf } from './errno.ts';
import { resolvePath } from './resolve.ts';

/**
 * What makes a file one that somebody else than root and `uid` decides on: its own owner and mode, and those of every
 * directory on the way to it. The sticky bit is no excuse: it does not keep a stranger from putting a file there first. `file` is undefined
 * for one that is missing, and for a directory, which is among the directories. Pure.
 */
export function findRefusal(
  file: Pick<FileFacts, 'uid' | 'mode'> | undefined,
  directories: readonly DirectoryFacts[],
  uid: number,
): Refusal | undefined {
  for (const directory of directories) {
    if ('mountedBy' in directory) {
      return { kind: 'user-mount', by: directory.mountedBy, directory: directory.path };
    }
  }
  if (file !== undefined && (file.mode & 0o6000) !== 0) return { kind: 'set-id' };
  const own = file === undefined ? [] : [{ ...file, path: undefined }];
  for (const facts of [...own, ...directories.toReversed()]) {
    if ('mountedBy' in facts) continue;
    const { uid: owner, mode, path } = facts;
    if (owner !== 0 && owner !== uid) return { kind: 'owner', uid: owner, directory: path };
    if ((mode & 0o022) !== 0) return { kind: 'writable', mode, directory: path };
  }
  return undefined;
}

/**
 * `findRefusal` for whatever is at an absolute path, all links followed: a file, a directory, or nothing yet. Set-id matters for hooks
 * alone: umount(8) is. The answer holds as long as root alone changes the directories.
 */
export function pathRefusal(path: string, uid: number = process.geteuid?.() ?? 0): Refusal | undefined {
  const { ancestorDirs, file } = resolvePath(encodeBytes(path));
  const own =
    'error' in file || file.type === 'directory' ? undefined : { ...file, mode: file.mode & ~0o6000 };
  return findRefusal(own, ancestorDirs, uid);
}

/** `refused` and `error` say why nothing was read; the latter is an errno name, or the like. */
export type Reading =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'absent' | 'not-a-file' }
  | { readonly kind: 'refused'; readonly refusal: Refusal }
  | { readonly kind: 'error'; readonly code: string };

/** The text of a file that we act upon, such as settings, if nobody else can write it. Waits for nobody. */
export function readTrusted(path: string, uid: number = process.geteuid?.() ?? 0): Reading {
  const { ancestorDirs, file } = resolvePath(encodeBytes(path));
  const refusal = findRefusal('error' in file ? undefined : file, ancestorDirs, uid);
  if (refusal?.kind === 'user-mount') return { kind: 'refused', refusal };
  if ('error' in file)
    return file.error === 'ENOENT' ? { kind: 'absent' } : { kind: 'error', code: file.error };
  // That all can write to a device, as to /dev/null, says nothing of what is read from it.
  if (refusal !== undefined && (file.type === 'file' || refusal.kind === 'owner'))
    return { kind: 'refused', refusal };
  if (file.type !== 'file') return { kind: 'not-a-file' };
  try {
    // O_NONBLOCK: should it have become a FIFO since, opening it must not wait for a writer.
    const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
    try {
      if (!fstatSync(fd).isFile()) return { kind: 'not-a-file' };
      return { kind: 'text', text: readFileSync(fd, 'utf8') };
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    return { kind: 'error', code: errnoOf(error) };
  }
}
