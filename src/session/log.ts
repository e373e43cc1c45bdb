// The log of sessions: JSON lines, one for each hook and one for each session. No environment is in it, and the output of failed hooks alone.
import { closeSync, constants, fdatasyncSync, openSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { DEFAULT_LOG } from '../cli/parse.ts';
import { escapeControls } from '../cli/text.ts';
import { describeRefusal } from '../report/verdicts.ts';
import { attempt, errnoOf } from '../system/errno.ts';
import { toJson } from '../system/json.ts';
import { pathRefusal } from '../system/trust.ts';
import type { HookEntry, LogEntry, SessionEntry } from '../types.ts';
import { systemLog } from './system-log.ts';

export interface Log {
  readonly write: (entry: LogEntry) => void;
  /** Resolves when the log of the system has all lines, or does not take them. */
  readonly close: () => Promise<void>;
}

/**
 * A log that cannot be written is a warning, once. `ended` is called when it is closed, for each session that came to an end, with the entries
 * of its hooks.
 */
export function openLog(
  path: string,
  warn: (line: string) => void,
  ended: (entry: SessionEntry, hooks: readonly HookEntry[]) => void = () => undefined,
): Log {
  let hooks: HookEntry[] = [];
  const sessions: (readonly [SessionEntry, readonly HookEntry[]])[] = [];
  let hasFailed = false;
  let system: Log | undefined;
  return {
    write: entry => {
      if (entry.type === 'hook') hooks.push(entry);
      else {
        sessions.push([entry, hooks.filter(({ session }) => session === entry.session)]);
        hooks = [];
      }
      const line = `${toJson(entry)}\n`;
      const fault = append(path, line, entry.type === 'session');
      if (fault !== undefined && !hasFailed) {
        warn(`tklbam-hooks: cannot write the log '${escapeControls(path)}' (${fault}), going on without it`);
      }
      hasFailed ||= fault !== undefined;
      // Only the default log is copied to that of the system.
      if (path !== DEFAULT_LOG) return;
      system ??= systemLog();
      system?.write(entry);
    },
    close: async () => {
      for (const [entry, its] of sessions.splice(0)) ended(entry, its);
      await system?.close();
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
