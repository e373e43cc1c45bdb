// What hooks write to standard error: passed through as it comes, and the end of it kept, to be told again with their failure.
import { spawn } from 'node:child_process';
import { closeSync, constants, openSync, readSync, unlinkSync } from 'node:fs';
import { Socket } from 'node:net';
import { escapeControls } from '../cli/text.ts';
import { attempt, errnoOf } from '../system/errno.ts';
import { findHelper, HELPER_ENV } from '../system/which.ts';

/** The most that is kept of what a hook writes: in bytes, and again in characters when controls are escaped. */
const MOST_BYTES = 4096;

export interface OutputTail {
  /** What hooks get as standard error. */
  readonly fd: number;
  /** The last lines since it was asked before, with controls escaped. */
  readonly take: () => string;
  /** Hands over to cat(1) if a daemon still writes to it. */
  readonly close: () => void;
}

/**
 * Undefined if there can be none. A FIFO without a name, since what Node.js makes of `pipe` is a socket: a hook that writes to /dev/stderr
 * could not open that (unix(7), ENXIO). It has the name `path` until it is open. `pass` gets all that is written.
 */
export async function openOutputTail(
  path: string,
  pass: (data: Buffer) => void,
): Promise<OutputTail | undefined> {
  const mkfifo = findHelper('mkfifo');
  if (mkfifo === undefined) return undefined;
  attempt(() => unlinkSync(path));
  await new Promise<unknown>(resolve => {
    const options = { cwd: '/', env: HELPER_ENV, stdio: 'ignore' } as const;
    const child = attempt(() => spawn(mkfifo, ['-m', '600', path], options));
    if (child === undefined) resolve(undefined);
    child?.on('error', resolve).on('exit', resolve);
  });
  const { O_RDONLY, O_WRONLY, O_NONBLOCK, O_NOFOLLOW } = constants;
  const reader = attempt(() => openSync(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW));
  const writer = reader === undefined ? undefined : attempt(() => openSync(path, O_WRONLY | O_NOFOLLOW));
  attempt(() => unlinkSync(path));
  if (reader === undefined || writer === undefined) return undefined;

  let [kept, dropped] = [Buffer.alloc(0), false];
  const keep = (data: Buffer): void => {
    pass(data);
    const all = Buffer.concat([kept, data]);
    dropped ||= all.length > MOST_BYTES;
    kept = all.subarray(-MOST_BYTES);
  };
  const socket = new Socket({ fd: reader, readable: true, writable: false });
  socket.on('data', keep);
  socket.on('error', () => {});
  socket.unref();
  // One for all: what is allotted for each hook stays until the next collection, and every fork copies it.
  const piece = Buffer.alloc(1 << 16);
  const drain = (): boolean => {
    for (;;) {
      try {
        const length = readSync(reader, piece);
        if (length === 0) return false;
        keep(Buffer.from(piece.subarray(0, length)));
      } catch (error) {
        return errnoOf(error) === 'EAGAIN';
      }
    }
  };
  return {
    fd: writer,
    take: () => {
      drain();
      const text = kept.toString().trimEnd().split('\n').map(escapeControls).join('\n');
      const end = text.slice(-MOST_BYTES);
      // The beginning was dropped: the first line is half of one.
      const isCut = dropped || end.length < text.length;
      [kept, dropped] = [Buffer.alloc(0), false];
      return isCut ? end.slice(end.indexOf('\n') + 1) : end;
    },
    close: () => {
      // Opened anew, for cat(1) to wait for what comes; and while we are a writer ourselves: without one the open would wait for the next.
      const waiting = attempt(() => openSync(`/proc/self/fd/${reader}`, O_RDONLY));
      closeSync(writer);
      const hasWriters = drain();
      if (waiting === undefined) return;
      if (hasWriters) handOver(waiting);
      closeSync(waiting);
    },
  };
}

/** To cat(1), which outlives us. */
function handOver(reader: number): void {
  const cat = findHelper('cat');
  if (cat === undefined) return;
  const child = attempt(() =>
    spawn(cat, [], { cwd: '/', env: HELPER_ENV, detached: true, stdio: [reader, 2, 'ignore'] }),
  );
  child?.on('error', () => {});
  child?.unref();
}
