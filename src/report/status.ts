// Sessions that run or were cut off, and the last of each operation in the log, as text or JSON. Pure.
import { escapeControls } from '../cli/text.ts';
import { MOST_ATTEMPTS, owing, pending } from '../session/session-file.ts';
import type { HookEntry, LogEntry, Operation, SessionEntry, Unfinished } from '../types.ts';
import { describeGuardian, describeProgressOf, localTime, operationOf } from './session-messages.ts';

/** The last session of an operation that came to its end, with what its hooks did. */
interface Last extends SessionEntry {
  readonly hooks: readonly HookEntry[];
}

/** Of each operation that has any, `entries` being oldest first. */
function lastOfEach(entries: readonly LogEntry[]): Last[] {
  const operations: readonly Operation[] = ['backup', 'restore'];
  return operations.flatMap(operation => {
    const last = entries.findLast(
      (entry): entry is SessionEntry => entry.type === 'session' && entry.operation === operation,
    );
    if (last === undefined) return [];
    const hooks = entries.filter(
      (entry): entry is HookEntry => entry.type === 'hook' && entry.session === last.session,
    );
    return [{ ...last, hooks }];
  });
}

export function statusText(sessions: readonly Unfinished[], entries: readonly LogEntry[]): string {
  const blocks = [...sessions.map(describeUnfinished), ...lastOfEach(entries).map(describeLast)];
  return blocks.length === 0
    ? 'No backup or restore is running, and none is in the log.\n'
    : blocks.join('\n');
}

function describeUnfinished(each: Unfinished): string {
  const operation = operationOf(each);
  switch (each.kind) {
    case 'unreadable':
      return `${operation}: cut off, and its record cannot be understood ('tklbam-hooks recover' sets it aside)\n`;
    case 'copy':
      return `${operation}: a record is there that came with a restore or a copy ('tklbam-hooks recover' sets it aside)\n`;
    case 'running':
      return `${operation}: running (${each.record.command === null ? each.record.state : `'${each.record.command}'`}), ${describeGuardian(each.record)}\n`;
    case 'cut-off': {
      const { record } = each;
      const rows = pending(record).map(({ path }) => `  ${escapeControls(path)}\n`);
      const waiting = rows.length === 0 ? '' : `, and tells these hooks:\n${rows.join('')}`;
      const began = `(${describeProgressOf(record)}), ${describeGuardian(record)}`;
      return `${operation}: cut off ${began}; 'tklbam-hooks recover' finishes it${waiting || '\n'}`;
    }
    case 'owing': {
      const rows = owing(each.record).map(({ path, attempts }) => {
        const next =
          attempts >= MOST_ATTEMPTS
            ? `see to it by hand, then 'tklbam-hooks recover --forget ${operation}'`
            : "'tklbam-hooks recover' tells it again";
        return `  ${escapeControls(path)} (failed ${attempts} of ${MOST_ATTEMPTS} times; ${next})\n`;
      });
      const what = `the one of ${localTime(each.record.since)} failed, and these hooks are still owed 'error'`;
      return `${operation}: ${what}:\n${rows.join('')}`;
    }
  }
}

function describeLast({ operation, time, seconds, outcome, error, hooks }: Last): string {
  const rows = hooks.map(
    each =>
      `  ${each.state.padEnd(7)} ${each.seconds.toFixed(1).padStart(8)} s  ${describeOutcome(each).padEnd(14)}  ${escapeControls(each.hook)}\n`,
  );
  const why = error === null ? '' : `: ${escapeControls(error)}`;
  return `last ${operation}: ${localTime(time)}, ${seconds} s, ${outcome}${why}\n${rows.join('')}`;
}

const describeOutcome = ({ outcome, status, signal }: HookEntry): string =>
  outcome === 'failed' ? `exit status ${status}` : outcome === 'killed' ? `${signal}` : outcome;

export function statusJson(sessions: readonly Unfinished[], entries: readonly LogEntry[]): string {
  const unfinished = sessions.map(each => {
    const record = 'record' in each ? each.record : undefined;
    return {
      operation: operationOf(each),
      kind: each.kind,
      running: each.kind === 'running',
      session: record?.session ?? null,
      since: record?.since ?? null,
      state: record?.state ?? null,
      guardian: record?.guardian.pid ?? null,
      caller: record?.caller ?? null,
      started: record?.started.map(({ path }) => path) ?? [],
      owed: record === undefined ? [] : owing(record).map(({ path, attempts }) => ({ path, attempts })),
      error: record?.error ?? null,
    };
  });
  return `${JSON.stringify({ sessions: unfinished, last: lastOfEach(entries) }, undefined, 2)}\n`;
}
