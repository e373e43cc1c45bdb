// Sessions that run or were cut off, and the last of each operation in the log, as text or JSON. Pure.
import { escapeControls } from '../cli/text.ts';
import { owed } from '../session/session-file.ts';
import type { HookEntry, LogEntry, Operation, SessionEntry, Unfinished } from '../types.ts';
import { localTime } from './messages.ts';

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

function describeUnfinished({ operation, record, isRunning }: Unfinished): string {
  if (record === undefined)
    return `${operation}: cut off, and its record cannot be understood ('tklbam-hooks recover' sets it aside)\n`;
  const { since, state, guardian, caller } = record;
  const began = `${localTime(since)} (last state: ${state})`;
  const who = `pid ${guardian.pid}, called by '${escapeControls(caller.name)}' (pid ${caller.pid})`;
  if (isRunning) return `${operation}: running since ${began}, ${who}\n`;
  const rows = owed(record).map(path => `  ${escapeControls(path)}\n`);
  const waiting = rows.length === 0 ? '' : `, and tells these hooks:\n${rows.join('')}`;
  return `${operation}: cut off, begun ${began}, ${who}; 'tklbam-hooks recover' finishes it${waiting || '\n'}`;
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
  const unfinished = sessions.map(({ operation, record, isRunning }) => ({
    operation,
    running: isRunning,
    session: record?.session ?? null,
    since: record?.since ?? null,
    state: record?.state ?? null,
    guardian: record?.guardian.pid ?? null,
    caller: record?.caller ?? null,
    started: record?.started ?? [],
    owed: record === undefined ? [] : owed(record),
    error: record?.error ?? null,
  }));
  return `${JSON.stringify({ sessions: unfinished, last: lastOfEach(entries) }, undefined, 2)}\n`;
}
