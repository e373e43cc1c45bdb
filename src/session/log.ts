// The log of sessions: JSON lines, one for each hook and one for each session. No environment is in it, and the output of failed hooks alone.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import {
  closeSync,
  constants,
  existsSync,
  fdatasyncSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, extname } from 'node:path';
import { OPERATIONS } from '../cli/grammar.ts';
import { DEFAULT_LOG } from '../cli/parse.ts';
import { escapeControls } from '../cli/text.ts';
import { describeRefusal } from '../report/verdicts.ts';
import { attempt, errnoOf } from '../system/errno.ts';
import { isObject, toJson } from '../system/json.ts';
import { pathRefusal } from '../system/trust.ts';
import { findHelper, HELPER_ENV } from '../system/which.ts';
import type { HookEntry, LogEntry, SessionEntry } from '../types.ts';

export interface Log {
  readonly write: (entry: LogEntry) => void;
  /** Resolves when syslog has all lines, or does not take them. */
  readonly close: () => Promise<void>;
}

const GOOD: readonly string[] = ['succeeded', 'settled', 'forgotten', 'put-off'];

/** The most that is read of a rotated log that is compressed. */
const MOST_BYTES = 64 << 20;

/** How long logger(1) may take to read what is left. */
const PATIENCE_MS = 2000;

/** A log that cannot be written is a warning, once. */
export function openLog(path: string, warn: (line: string) => void): Log {
  let hasFailed = false;
  let syslog: ChildProcess | undefined;
  return {
    write: entry => {
      const line = `${toJson(entry)}\n`;
      const fault = append(path, line, entry.type === 'session');
      if (fault !== undefined && !hasFailed) {
        warn(`tklbam-hooks: cannot write the log '${escapeControls(path)}' (${fault}), going on without it`);
      }
      hasFailed ||= fault !== undefined;
      // Only the default log is copied to syslog.
      if (path !== DEFAULT_LOG) return;
      syslog ??= startLogger();
      // Priorities of sd-daemon(3): an error, or information.
      const { output, ...rest } = { output: undefined, ...entry };
      // Syslog is read by others than root; what a hook says is for root alone.
      syslog?.stdin?.write(`<${GOOD.includes(entry.outcome) ? 6 : 3}>${toJson(rest)}\n`);
    },
    close: async () => {
      const input = syslog?.stdin;
      if (!input || input.destroyed) return;
      const patience = Promise.withResolvers<void>();
      const timer = setTimeout(patience.resolve, PATIENCE_MS);
      input.on('close', patience.resolve);
      input.end();
      await patience.promise;
      clearTimeout(timer);
    },
  };
}

/** Logs an attempt at a session that was turned away before there was anything to know of it but its words. */
export async function logAttempt(
  path: string | undefined,
  operation: string | undefined,
  error: string,
): Promise<void> {
  if (operation !== 'backup' && operation !== 'restore') return;
  const log = openLog(path?.startsWith('/') ? path : DEFAULT_LOG, () => undefined);
  const now = new Date();
  const session = `${now.getTime().toString(36)}-${process.pid}`;
  const time = now.toISOString();
  log.write({ type: 'session', time, session, operation, outcome: 'turned-away', error, seconds: 0 });
  await log.close();
}

/**
 * Opened anew for each line: whoever rotates it need not tell us. `isLast`: what was written is on disk then, before the record
 * of the session goes.
 */
function append(path: string, line: string, isLast: boolean): string | undefined {
  // In a directory that others can write to, the log could be a file of theirs.
  const refusal = pathRefusal(dirname(path));
  if (refusal !== undefined) return describeRefusal(refusal, undefined).reason;
  // O_NONBLOCK: a FIFO that nobody reads must not hold us up.
  const { O_WRONLY, O_APPEND, O_CREAT, O_NOFOLLOW, O_NONBLOCK } = constants;
  try {
    const fd = openSync(path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0o600);
    try {
      writeSync(fd, line);
      // Devices and pipes have no fdatasync(2).
      if (isLast) attempt(() => fdatasyncSync(fd));
    } finally {
      closeSync(fd);
    }
    return undefined;
  } catch (error) {
    return errnoOf(error);
  }
}

/** logger(1), which sends each line of its input; undefined where there is no syslog. */
function startLogger(): ChildProcess | undefined {
  const logger = existsSync('/dev/log') ? findHelper('logger') : undefined;
  if (logger === undefined) return undefined;
  const child = attempt(() =>
    spawn(logger, ['--tag', 'tklbam-hooks', '--prio-prefix', '--size', '64KiB'], {
      cwd: '/',
      // A session of its own: what ends us must not end it before it has sent the last line.
      detached: true,
      env: {},
      stdio: ['pipe', 'ignore', 'ignore'],
    }),
  );
  child?.on('error', () => {});
  child?.stdin?.on('error', () => {});
  child?.unref();
  return child;
}

/**
 * Oldest first, back to the last session of each operation. Left out are a line that a full disk cut off, which the next one follows at once,
 * and the zeros that a power cut leaves in the place of lines. Where others than root and we could have put it, it is not read, and `warn` says
 * so. Throws what reading meets, but ENOENT.
 */
export function readLog(path: string, warn: (line: string) => void): LogEntry[] {
  const refusal = pathRefusal(dirname(path));
  if (refusal !== undefined) {
    const { reason } = describeRefusal(refusal, undefined);
    warn(`tklbam-hooks: not reading the log '${escapeControls(path)}': ${reason}`);
    return [];
  }
  let entries: LogEntry[] = [];
  for (const file of [path, ...rotated(path)]) {
    const text = read(file);
    if (typeof text === 'object')
      warn(`tklbam-hooks: cannot read the log '${escapeControls(file)}': ${text.fault}`);
    else entries = [...parse(text), ...entries];
    // Rotated files before that are not of interest.
    const ended = new Set(entries.flatMap(each => (each.type === 'session' ? [each.operation] : [])));
    if (ended.size === OPERATIONS.length) break;
  }
  return entries;
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

function parse(text: string): LogEntry[] {
  return text.split(/[\n\0]+|(?=\{"type":)/).flatMap(line => {
    const entry: unknown = attempt(() => JSON.parse(line));
    return isHookEntry(entry) || isSessionEntry(entry) ? [entry] : [];
  });
}

/** The program that uncompresses a file, by its ending. Not zlib of Node.js: one more library to keep up to date. */
const DECOMPRESSORS: Readonly<Record<string, string>> = { '.gz': 'gzip', '.xz': 'xz', '.zst': 'zstd' };

function read(path: string): string | { readonly fault: string } {
  const tool = DECOMPRESSORS[extname(path)];
  if (tool !== undefined) {
    const file = findHelper(tool);
    if (file === undefined) return { fault: `there is no ${tool} to uncompress it with` };
    const options = { encoding: 'utf8', cwd: '/', env: HELPER_ENV, maxBuffer: MOST_BYTES } as const;
    const { status, stdout } = spawnSync(file, ['-dc', '--', path], options);
    return status === 0 ? stdout : { fault: `${tool} cannot uncompress it` };
  }
  try {
    // A FIFO would be waited for.
    return statSync(path).isFile() ? readFileSync(path, 'utf8') : { fault: 'it is not a file' };
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return '';
    throw error;
  }
}

const isHookEntry = (entry: unknown): entry is HookEntry =>
  isEntry(entry) &&
  entry.type === 'hook' &&
  typeof entry.hook === 'string' &&
  typeof entry.state === 'string' &&
  (entry.output === undefined || typeof entry.output === 'string');

const isSessionEntry = (entry: unknown): entry is SessionEntry =>
  isEntry(entry) && entry.type === 'session' && (entry.error === null || typeof entry.error === 'string');

function isEntry(entry: unknown): entry is Readonly<Record<string, unknown>> {
  if (!isObject(entry)) return false;
  const { time, session, operation, outcome, seconds } = entry;
  return (
    [time, session, operation, outcome].every(each => typeof each === 'string') && typeof seconds === 'number'
  );
}
