// Past sessions, from the log and those that logrotate put away, however large they are.
import { spawn } from 'node:child_process';
import { closeSync, constants, fstatSync, openSync, readdirSync, readSync, statSync } from 'node:fs';
import { basename, dirname, extname } from 'node:path';
import { OPERATIONS } from '../cli/grammar.ts';
import { escapeControls } from '../cli/text.ts';
import { isLater } from '../report/history.ts';
import { describeRefusal } from '../report/verdicts.ts';
import { attempt, errnoOf } from '../system/errno.ts';
import { isObject } from '../system/json.ts';
import { pathRefusal } from '../system/trust.ts';
import { findHelper, HELPER_ENV } from '../system/which.ts';
import type { HookEntry, LogEntry, Operation, PastSession, SessionEntry } from '../types.ts';

/** Sessions whose end is not in the log, so many at most: of hooks of more, nobody will ask. */
const MOST_OPEN = 100;

/**
 * The last sessions of each operation that came to their end, `most` at most, in the order of the log. Where others than root and we could have
 * put a log, it is not read, and `warn` says so. Throws what reading meets, but ENOENT.
 */
export async function pastSessions(
  path: string,
  most: number,
  warn: (line: string) => void,
  operations: readonly Operation[] = OPERATIONS,
): Promise<readonly PastSession[]> {
  const refusal = pathRefusal(dirname(path));
  if (refusal !== undefined) {
    const { reason } = describeRefusal(refusal, undefined);
    warn(`tklbam-hooks: not reading the log '${escapeControls(path)}': ${reason}`);
    return [];
  }
  let past: PastSession[] = [];
  for (const file of [path, ...rotated(path)]) {
    const { ended, open } = await sessionsOf(file, most, operations, warn);
    // One that a rotation cut in two.
    const whole = past.map(each => ({ ...each, hooks: [...(open.get(each.session) ?? []), ...each.hooks] }));
    past = lastOfEach([...ended, ...whole], most);
    const isEnough = operations.every(
      each => past.filter(({ operation }) => operation === each).length >= most,
    );
    if (isEnough) break;
  }
  return past;
}

async function sessionsOf(
  file: string,
  most: number,
  operations: readonly Operation[],
  warn: (line: string) => void,
): Promise<{ readonly ended: readonly PastSession[]; readonly open: ReadonlyMap<string, HookEntry[]> }> {
  let ended: PastSession[] = [];
  const open = new Map<string, HookEntry[]>();
  const unreadable = (fault: string): void =>
    warn(`tklbam-hooks: cannot read the log '${escapeControls(file)}': ${fault}`);
  for await (const entry of entries(file, unreadable)) {
    if (!operations.includes(entry.operation)) continue;
    if (entry.type === 'hook') {
      const hooks = open.get(entry.session);
      if (hooks === undefined) open.set(entry.session, [entry]);
      else hooks.push(entry);
      const [oldest] = open.size > MOST_OPEN ? open.keys() : [];
      if (oldest !== undefined) open.delete(oldest);
    } else if (!isLater(entry)) {
      ended.push({ ...entry, hooks: open.get(entry.session) ?? [] });
      open.delete(entry.session);
      // Seldom, so that each is looked at a few times at most.
      if (ended.length > 4 * most) ended = lastOfEach(ended, most);
    }
  }
  return { ended, open };
}

function lastOfEach(sessions: readonly PastSession[], most: number): PastSession[] {
  const counts = new Map<Operation, number>();
  return sessions
    .toReversed()
    .filter(({ operation }) => {
      const count = (counts.get(operation) ?? 0) + 1;
      counts.set(operation, count);
      return count <= most;
    })
    .toReversed();
}

/** As logrotate(8) names and compresses what it puts away, with and without `dateext`; the newest first. */
function rotated(path: string): string[] {
  const [directory, name] = [dirname(path), basename(path)];
  const names = attempt(() => readdirSync(directory)) ?? [];
  return names
    .filter(
      each =>
        each.startsWith(name) &&
        /^(?:\.\d+|-\d{8}(?:-\d+)?)(?:\.(?:gz|xz|zst))?$/.test(each.slice(name.length)),
    )
    .map(each => `${directory}/${each}`)
    .sort((a, b) => modified(b) - modified(a));
}

const modified = (path: string): number => attempt(() => statSync(path).mtimeMs) ?? 0;

/** Is told why the rest of a file cannot be read. */
type Unreadable = (fault: string) => void;

/** The longest line that can be one of ours: what is longer is passed over. */
const LONGEST_LINE = 1 << 20;

/**
 * What is in a log, line by line. Left out are a line that a full disk cut off, which the next one follows at once, and the zeros that a power
 * cut leaves in the place of lines.
 */
async function* entries(file: string, unreadable: Unreadable): AsyncGenerator<LogEntry> {
  let rest = Buffer.alloc(0);
  for await (const chunk of chunks(file, unreadable)) {
    const whole = Buffer.concat([rest, chunk]);
    const end = whole.lastIndexOf('\n') + 1;
    yield* parse(whole.toString('utf8', 0, end));
    rest = end === 0 && whole.length > LONGEST_LINE ? Buffer.alloc(0) : whole.subarray(end);
  }
  yield* parse(rest.toString('utf8'));
}

function parse(text: string): LogEntry[] {
  return text.split(/[\n\0]+|(?=\{"type":)/).flatMap(line => {
    const entry: unknown = attempt(() => JSON.parse(line));
    return isHookEntry(entry) || isSessionEntry(entry) ? [entry] : [];
  });
}

/** The program that uncompresses a file, by its ending. Not zlib of Node.js: one more library to keep up to date. */
const DECOMPRESSORS: Readonly<Record<string, string>> = { '.gz': 'gzip', '.xz': 'xz', '.zst': 'zstd' };

const CHUNK_SIZE = 1 << 16;

async function* chunks(path: string, unreadable: Unreadable): AsyncGenerator<Buffer> {
  let fd: number;
  try {
    // A FIFO would be waited for.
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return;
    throw error;
  }
  try {
    if (!fstatSync(fd).isFile()) {
      unreadable('it is not a file');
      return;
    }
    const tool = DECOMPRESSORS[extname(path)];
    if (tool !== undefined) {
      yield* uncompressed(fd, tool, unreadable);
      return;
    }
    for (;;) {
      const chunk = Buffer.alloc(CHUNK_SIZE);
      const size = readSync(fd, chunk);
      if (size === 0) return;
      yield chunk.subarray(0, size);
    }
  } finally {
    closeSync(fd);
  }
}

async function* uncompressed(fd: number, tool: string, unreadable: Unreadable): AsyncGenerator<Buffer> {
  const file = findHelper(tool);
  if (file === undefined) {
    unreadable(`there is no ${tool} to uncompress it with`);
    return;
  }
  const child = spawn(file, ['-dc'], { cwd: '/', env: HELPER_ENV, stdio: [fd, 'pipe', 'ignore'] });
  const ended = new Promise<boolean>(resolve => {
    child.on('error', () => resolve(false));
    child.on('close', status => resolve(status === 0));
  });
  for await (const chunk of child.stdout ?? []) yield chunk;
  if (!(await ended)) unreadable(`${tool} cannot uncompress it`);
}

const isHookEntry = (entry: unknown): entry is HookEntry =>
  isEntry(entry) &&
  entry.type === 'hook' &&
  typeof entry.hook === 'string' &&
  typeof entry.state === 'string' &&
  (entry.output === undefined || typeof entry.output === 'string');

const isSessionEntry = (entry: unknown): entry is SessionEntry =>
  isEntry(entry) &&
  entry.type === 'session' &&
  (entry.error === null || typeof entry.error === 'string') &&
  (entry.name === undefined || typeof entry.name === 'string') &&
  (entry.command === undefined || isObject(entry.command));

function isEntry(entry: unknown): entry is Readonly<Record<string, unknown>> {
  if (!isObject(entry)) return false;
  const { time, session, operation, outcome, seconds } = entry;
  return (
    [time, session, operation, outcome].every(each => typeof each === 'string') && typeof seconds === 'number'
  );
}
