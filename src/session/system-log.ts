// The copy of the log in that of the system, by logger(1): fields and words for systemd-journald(8), lines of JSON for syslog.
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { journalEntry, priority } from '../report/journal.ts';
import { attempt } from '../system/errno.ts';
import { toJson } from '../system/json.ts';
import { findHelper } from '../system/which.ts';
import type { Log } from './log.ts';

/** How long logger(1) may take to send what is left. */
const PATIENCE_MS = 2000;

/** Undefined where there is none. The log of the system is read by others than root: what hooks say is not in it. */
export function systemLog(): Log | undefined {
  const logger = findHelper('logger');
  if (logger === undefined) return undefined;
  if (existsSync('/run/systemd/journal/socket')) return journal(logger);
  return existsSync('/dev/log') ? syslog(logger) : undefined;
}

/** A process for each entry, since its end is that of its input; they are few, and nobody waits for one but at the end. */
function journal(logger: string): Log {
  const children = new Set<ChildProcess>();
  return {
    write: entry => {
      const child = start(logger, ['--journald']);
      if (child === undefined) return;
      children.add(child);
      child.on('close', () => children.delete(child));
      child.stdin?.end(journalEntry(entry));
    },
    close: () => ended([...children]),
  };
}

function syslog(logger: string): Log | undefined {
  const child = start(logger, ['--tag', 'tklbam-hooks', '--prio-prefix', '--size', '64KiB']);
  if (child === undefined) return undefined;
  return {
    write: entry => {
      const { output, ...rest } = { output: undefined, ...entry };
      child.stdin?.write(`<${priority(entry)}>${toJson(rest)}\n`);
    },
    close: () => {
      child.stdin?.end();
      return ended([child]);
    },
  };
}

function start(logger: string, args: readonly string[]): ChildProcess | undefined {
  const child = attempt(() =>
    spawn(logger, args, {
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

/** Resolves when these have taken all, or do not. */
async function ended(children: readonly ChildProcess[]): Promise<void> {
  const patience = Promise.withResolvers<void>();
  const timer = setTimeout(patience.resolve, PATIENCE_MS);
  const all = children.map(
    child =>
      new Promise<void>(resolve => {
        if (child.stdin === null || child.stdin.destroyed) resolve();
        else child.stdin.on('close', resolve);
      }),
  );
  await Promise.race([Promise.all(all), patience.promise]);
  clearTimeout(timer);
}
