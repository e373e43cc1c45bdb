// A path as the kernel follows it: the directories on the way, and the file at its end. Whoever may write to one of the directories
// decides what is found there.
import { lstatSync, readlinkSync, type Stats } from 'node:fs';
import type { DirectoryFacts, FileFacts } from '../types.ts';
import { decodeBytes } from './bytes.ts';
import { errnoOf } from './errno.ts';
import { userMounts } from './mounts.ts';

/** The most links that the kernel follows (path_resolution(7)). */
const MOST_LINKS = 40;

export interface Resolved {
  /** Every directory that is searched, links followed, from `/` on; as far as the path leads. The last may be what it leads to. */
  readonly ancestorDirs: readonly DirectoryFacts[];
  readonly file: FileFacts | { readonly error: string };
}

/**
 * Never throws: what stands in the way is an error in place of the file. The path is absolute, and bytes, a character each (latin1), since
 * a link may point to a name that is not UTF-8. Nothing below the mount of a user is touched: it could make us wait for ever.
 */
export function resolvePath(path: string, mounts: ReadonlyMap<string, string> = userMounts()): Resolved {
  const searched = new Map<string, DirectoryFacts>();
  const ended = (file: Resolved['file']): Resolved => ({ ancestorDirs: [...searched.values()], file });
  try {
    let here = '/';
    let stat = lstatSync(here);
    searched.set(here, directoryFacts(here, stat));
    let links = 0;
    const pending = path.split('/');
    for (let name = pending.shift(); name !== undefined; name = pending.shift()) {
      if (!stat.isDirectory()) return ended({ error: 'ENOTDIR' });
      if (name === '' || name === '.') continue;
      const next =
        name === '..' ? here.slice(0, here.lastIndexOf('/')) || '/' : `${here === '/' ? '' : here}/${name}`;
      const mountedBy = mounts.get(next);
      if (mountedBy !== undefined) {
        searched.set(next, { path: decodeBytes(next), mountedBy });
        return ended({ error: 'EPERM' });
      }
      const bytes = Buffer.from(next, 'latin1');
      const found = lstatSync(bytes);
      if (found.isSymbolicLink()) {
        links += 1;
        if (links > MOST_LINKS) return ended({ error: 'ELOOP' });
        const target = readlinkSync(bytes, 'latin1');
        if (target.startsWith('/')) {
          here = '/';
          stat = lstatSync(here);
        }
        pending.unshift(...target.split('/'));
        continue;
      }
      here = next;
      stat = found;
      if (stat.isDirectory()) searched.set(here, directoryFacts(here, stat));
    }
    return ended(fileFacts(stat));
  } catch (error) {
    return ended({ error: errnoOf(error) });
  }
}

const directoryFacts = (path: string, { uid, mode }: Stats): DirectoryFacts => ({
  path: decodeBytes(path),
  uid,
  mode: mode & 0o7777,
});

const fileFacts = (stat: Stats): FileFacts => ({
  type: stat.isFile() ? 'file' : stat.isDirectory() ? 'directory' : 'other',
  size: stat.size,
  uid: stat.uid,
  gid: stat.gid,
  mode: stat.mode & 0o7777,
  modifiedMs: stat.mtimeMs,
});
