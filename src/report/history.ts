// Past sessions, a line each. Pure.
import { cut, escapeControls, escapeStored } from '../cli/text.ts';
import type { HookEntry, PastSession, SessionEntry } from '../types.ts';
import { localTime } from './session-messages.ts';
import { took } from './times.ts';

/** A table of so many columns, oldest first; `sessions` are in that order. */
export function historyText(sessions: readonly PastSession[], columns: number): string {
  if (sessions.length === 0) return 'No backup or restore is in the log.\n';
  const head = ['STARTED', 'OPERATION', 'OUTCOME', 'TOOK', 'REMARK'];
  const rows = [head, ...sessions.map(row)];
  const widths = head.map((_, column) => Math.max(...rows.map(cells => cells[column]?.length ?? 0)));
  const lines = rows.map(cells => cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  '));
  return lines.map(line => `${cut(line.trimEnd(), columns)}\n`).join('');
}

function row(session: PastSession): string[] {
  const { time, operation, name, outcome, seconds } = session;
  const what = name === undefined ? operation : `${operation} ${escapeControls(name)}`;
  return [localTime(time).slice(0, 16), what, outcomeWord(outcome), took(seconds), remarkable(session)];
}

export function outcomeWord(outcome: PastSession['outcome']): string {
  switch (outcome) {
    case 'succeeded':
      return 'good';
    case 'put-off':
      return 'put off';
    default:
      return 'FAILED';
  }
}

/** Whether it is a later line of a session that had failed, and not of its end. */
export const isLater = ({ outcome }: SessionEntry): boolean =>
  outcome === 'owing' || outcome === 'settled' || outcome === 'forgotten';

/** The hook that failed first, or else what went wrong, or else the slowest. */
function remarkable({ error, hooks }: PastSession): string {
  const failed = hooks.find(({ outcome }) => outcome !== 'succeeded');
  if (failed !== undefined)
    return `${escapeControls(failed.hook)}: ${escapeControls(failed.state)} ${describeEnd(failed)}`;
  if (error !== null) return escapeStored(error);
  const slowest = hooks.reduce<HookEntry | undefined>(
    (most, each) => (most === undefined || each.seconds > most.seconds ? each : most),
    undefined,
  );
  return slowest === undefined ? '-' : `slowest: ${escapeControls(slowest.hook)}, ${took(slowest.seconds)}`;
}

/** How a hook failed. */
export const describeEnd = ({ outcome, status, signal }: HookEntry): string =>
  escapeControls(
    outcome === 'failed' ? `exit status ${status}` : outcome === 'killed' ? `${signal}` : outcome,
  );
