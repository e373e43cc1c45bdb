// The directories on the way to a file: whoever may write to one of them decides what is found there.
import { lstatSync, readlinkSync, type Stats } from 'node:fs';
import type { DirectoryFacts } from '../types.ts';

/** As the kernel allows (path_resolution(7)). */
const MOST_LINKS = 40;

/**
 * Every directory that the kernel searches for the file, links followed, from `/` on; as far as it comes where the path
 * leads nowhere. Paths are bytes, a character each (latin1), since a link may point to a name that is not UTF-8.
 */
export function ancestorDirs(path: string): DirectoryFacts[] {
  const searched = new Map<string, DirectoryFacts>();
  const visit = (directory: string, { uid, mode }: { readonly uid: number; readonly mode: number }): void => {
    const shown = Buffer.from(directory, 'latin1').toString();
    searched.set(directory, { path: shown, uid, mode: mode & 0o7777 });
  };
  visit('/', lstatSync('/'));
  let here = '/';
  let links = 0;
  const pending = path.split('/');
  for (let name = pending.shift(); name !== undefined; name = pending.shift()) {
    if (name === '' || name === '.') continue;
    if (name === '..') {
      here = here.slice(0, here.lastIndexOf('/')) || '/';
      continue;
    }
    const next = here === '/' ? `/${name}` : `${here}/${name}`;
    const bytes = Buffer.from(next, 'latin1');
    const stat = look(bytes);
    if (stat === undefined) break;
    if (stat.isSymbolicLink()) {
      links += 1;
      if (links > MOST_LINKS) break;
      const target = readlinkSync(bytes, 'latin1');
      if (target.startsWith('/')) here = '/';
      pending.unshift(...target.split('/'));
    } else if (stat.isDirectory()) {
      here = next;
      visit(here, stat);
    } else {
      break;
    }
  }
  return [...searched.values()];
}

function look(path: Buffer): Stats | undefined {
  try {
    return lstatSync(path);
  } catch {
    // Missing, or beyond what we may search: then nothing can be run there either, and that has its own error.
    return undefined;
  }
}
