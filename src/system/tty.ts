// Whether a descriptor is a terminal, and how large: asked at each start, by hardly any of which there is one.
import { fstatSync } from 'node:fs';
import type { WriteStream } from 'node:tty';
import { attempt } from './errno.ts';

/** Not imported: it loads streams and sockets, which takes a tenth of the time of a start. */
const tty = (): typeof import('node:tty') => process.getBuiltinModule('node:tty');

/** Major number of /dev/null and its like (null(4)). */
const MEMORY = 1;

/** As isatty(3). */
export function isTerminal(fd: number): boolean {
  const stats = attempt(() => fstatSync(fd));
  return stats?.isCharacterDevice() === true && stats.rdev >> 8 !== MEMORY && tty().isatty(fd);
}

/** Of a descriptor that is one. It has the size. */
export const terminalStream = (fd: number): WriteStream => new (tty().WriteStream)(fd);

export interface Screen {
  readonly isTerminal: boolean;
  readonly columns: number;
  readonly rows: number;
}

/** That of standard output; of 80 columns where there is none. */
export function screen(): Screen {
  const isThere = isTerminal(1);
  const [columns, rows] = isThere ? terminalStream(1).getWindowSize() : [];
  // A terminal without a size, as a serial line has none.
  return { isTerminal: isThere, columns: columns || 80, rows: rows || 24 };
}
