// Which hook runs, and for how long: a line on a terminal, while the hook itself says nothing.
//
// A hook writes to the same terminal, whenever it likes and as much as it likes. So the line is in the last row, and that is taken out of the
// scrolling region meanwhile (DECSTBM, as apt does for its progress bar): nothing that is written where the cursor was can meet it. inotify(7)
// tells of the first write, to the terminal or by /dev/tty; then the line goes for good, for this may be a question or a dialogue. Our own
// writes are by /dev/tty: another file to inotify than the terminal itself, so that at no moment a hook's first write is taken for ours.
import { closeSync, type FSWatcher, openSync, readdirSync, readlinkSync, watch, writeSync } from 'node:fs';
import type { WriteStream } from 'node:tty';
import { columns, shorten } from '../cli/text.ts';
import { took } from '../report/times.ts';
import { attempt } from '../system/errno.ts';
import { elapsedMs } from '../system/machine.ts';
import { addDescendants, processes } from '../system/proc.ts';
import { terminalStream } from '../system/tty.ts';
import { hasEscapes, type Terminal } from './terminal.ts';

const DELAY_SECONDS = 2;
const INTERVAL_MS = 1000;

/** Of the cursor (DECSC, DECRC). */
const [SAVE, RESTORE] = ['\x1b7', '\x1b8'];

/** A row to have below the cursor, in the same column: down, which scrolls in the last row (IND), and up again. */
const MAKE_ROOM = '\x1bD\x1b[A';

/** Called before a hook starts; returns what ends it. */
export function startProgress(hook: string, terminal: Terminal): () => void {
  if (!hasEscapes(2)) return () => undefined;
  const beganMs = elapsedMs();
  const watchers: FSWatcher[] = [];
  let screen: WriteStream | undefined;
  let tty: number | undefined;
  /** Where the line is. */
  let row: number | undefined;
  const write = (text: string): void => {
    tty ??= openSync('/dev/tty', 'w');
    writeSync(tty, text);
  };
  const end = (): void => {
    clearInterval(timer);
    for (const watcher of watchers) watcher.close();
    screen?.destroy();
    if (row !== undefined) attempt(() => write(`${SAVE}\x1b[r\x1b[${row};1H\x1b[2K${RESTORE}`));
    row = undefined;
    if (tty !== undefined) closeSync(tty);
    tty = undefined;
  };
  const draw = (): void => {
    const seconds = Math.round((elapsedMs() - beganMs) / 1000);
    // In the background of a shell, the terminal is somebody else's.
    if (seconds < DELAY_SECONDS || !terminal.isForeground(2)) return;
    screen ??= terminalStream(2);
    const [width, rows] = screen.getWindowSize();
    if (width < 40 || rows < 4 || (row !== undefined && row !== rows)) {
      end();
      return;
    }
    const time = `, ${took(seconds)}`;
    const line = shorten(hook, width - 1 - columns(time)) + time;
    const room = row === undefined ? MAKE_ROOM : '';
    row = rows;
    // The terminal may be gone by now.
    const isDrawn = attempt(() => {
      write(`${room}${SAVE}\x1b[1;${rows - 1}r\x1b[${rows};1H\x1b[m${line}\x1b[K${RESTORE}`);
      return true;
    });
    if (!isDrawn) end();
  };
  const timer = setInterval(draw, INTERVAL_MS);
  const isWatched = attempt(() => {
    const on = (path: string, act: () => void): number =>
      watchers.push(watch(path, { persistent: false }, act).on('error', end));
    on('/proc/self/fd/2', end);
    // One file for all terminals of the machine.
    on('/dev/tty', () => {
      if (isTerminalOpen()) end();
    });
    return true;
  });
  // Nobody would tell when the line has to go.
  if (!isWatched) end();
  return end;
}

/** Whether a hook has /dev/tty open, as what asks for a password has. */
function isTerminalOpen(): boolean {
  const ours = new Set([process.pid]);
  addDescendants(ours, [...(processes()?.values() ?? [])]);
  ours.delete(process.pid);
  return [...ours].some(pid => {
    const directory = `/proc/${pid}/fd`;
    const fds = attempt(() => readdirSync(directory)) ?? [];
    return fds.some(fd => attempt(() => readlinkSync(`${directory}/${fd}`)) === '/dev/tty');
  });
}
