// The log of sessions: JSON lines, one for each hook and one for each session. No environment and no output of hooks is in it.
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, constants, existsSync, fdatasyncSync, openSync, readFileSync, writeSync } from 'node:fs';
import { DEFAULT_LOG } from '../cli/parse.ts';
import { escapeControls } from '../cli/text.ts';
import { attempt, errnoOf } from '../system/errno.ts';
import { isObject } from '../system/json.ts';
import type { HookEntry, LogEntry, SessionEntry } from '../types.ts';

export interface Log {
  readonly write: (entry: LogEntry) => void;
  readonly close: () => void;
}

/** A log that cannot be written is a warning, once. */
export function openLog(path: string, warn: (line: string) => void): Log {
  let hasFailed = false;
  let syslog: ChildProcess | undefined;
  return {
    write: entry => {
      const line = `${JSON.stringify(entry)}\n`;
      try {
        append(path, line, entry.type === 'session');
      } catch (error) {
        const text = `cannot write the log '${escapeControls(path)}' (${errnoOf(error)}), going on without it`;
        if (!hasFailed) warn(`tklbam-hooks: ${text}`);
        hasFailed = true;
      }
      // A log of one's own is one's own affair.
      if (path !== DEFAULT_LOG) return;
      syslog ??= startLogger();
      // By sd-daemon(3): an error, or information.
      syslog?.stdin?.write(`<${entry.outcome === 'succeeded' ? 6 : 3}>${line}`);
    },
    close: () => syslog?.stdin?.end(),
  };
}

/**
 * Opened anew for each line: whoever rotates it need not tell us. `isLast`: what was written is on disk then, before the record
 * of the session goes.
 */
function append(path: string, line: string, isLast: boolean): void {
  const { O_WRONLY, O_APPEND, O_CREAT, O_NOFOLLOW } = constants;
  const fd = openSync(path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW, 0o600);
  try {
    writeSync(fd, line);
    // A device or a pipe has nothing to bring there.
    if (isLast) attempt(() => fdatasyncSync(fd));
  } finally {
    closeSync(fd);
  }
}

/** logger(1), which sends each line of its input; undefined where there is no syslog. */
function startLogger(): ChildProcess | undefined {
  if (!existsSync('/dev/log')) return undefined;
  const child = attempt(() =>
    spawn('/usr/bin/logger', ['--tag', 'tklbam-hooks', '--prio-prefix', '--size', '64KiB'], {
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
 * Of the log and the one before it, oldest first. Left out are a line that a full disk cut off, which the next one follows at once,
 * and the zeros that a power cut leaves in the place of lines. Throws what reading meets, but ENOENT.
 */
export function readLog(path: string): LogEntry[] {
  const text = [`${path}.1`, path].map(read).join('\n');
  return text.split(/[\n\0]+|(?=\{"type":)/).flatMap(line => {
    const entry: unknown = attempt(() => JSON.parse(line));
    return isHookEntry(entry) || isSessionEntry(entry) ? [entry] : [];
  });
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return '';
    throw error;
  }
}

const isHookEntry = (entry: unknown): entry is HookEntry =>
  isEntry(entry) &&
  entry.type === 'hook' &&
  typeof entry.hook === 'string' &&
  typeof entry.state === 'string';

const isSessionEntry = (entry: unknown): entry is SessionEntry =>
  isEntry(entry) && entry.type === 'session' && (entry.error === null || typeof entry.error === 'string');

function isEntry(entry: unknown): entry is Readonly<Record<string, unknown>> {
  if (!isObject(entry)) return false;
  const { time, session, operation, outcome, seconds } = entry;
  return (
    [time, session, operation, outcome].every(each => typeof each === 'string') && typeof seconds === 'number'
  );
}
