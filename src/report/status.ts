// Sessions that run or were cut off, and the last of each operation in the log, as text or JSON. Pure.
import { escapeControls, escapeStored } from '../cli/text.ts';
import { MOST_ATTEMPTS, owing, pending } from '../session/session-file.ts';
import { toJson } from '../system/json.ts';
import type { HookEntry, LogEntry, Operation, SessionEntry, Unfinished } from '../types.ts';
import { describeGuardian, describeProgressOf, localTime, operationOf } from './session-messages.ts';

/** The last session of an operation that came to its end, with what its hooks did. */
interface Last extends SessionEntry {
  readonly hooks: readonly HookEntry[];
}

/** What becomes of a session after its end. */
const LATER: readonly string[] = ['owing', 'settled', 'forgotten'];

/** The last session of each operation that has any; `entries` are oldest first. */
function lastOfEach(entries: readonly LogEntry[]): Last[] {
  const operations: readonly Operation[] = ['backup', 'restore'];
  return operations.flatMap(operation => {
    const last = entries.findLast(
      (entry): entry is SessionEntry =>
        entry.type === 'session' && entry.operation === operation && !LATER.includes(entry.outcome),
    );
    if (last === undefined) return [];
    const hooks = entries.filter(
      (entry): entry is HookEntry => entry.type === 'hook' && entry.session === last.session,
    );
    return [{ ...last, hooks }];
  });
}

/** Verdicts first: an operation that runs, was cut off or owes something, and how the last one of each ended; a row for each hook. */
export function statusText(sessions: readonly Unfinished[], entries: readonly LogEntry[], now: Date): string {
  const lasts = lastOfEach(entries).map(last => describeLast(last, now));
  const blocks = [...sessions.map(describeUnfinished), ...lasts];
  return blocks.length === 0
    ? 'No backup or restore is running, and none is in the log.\n'
    : blocks.join('\n');
}

function describeUnfinished(each: Unfinished): string {
  const operation = operationOf(each);
  switch (each.kind) {
    case 'unreadable':
      return `${operation}: CUT OFF, and its record cannot be understood ('tklbam-hooks recover' sets it aside)\n`;
    case 'copy':
      return `${operation}: a record is there that came with a restore or a copy ('tklbam-hooks recover' sets it aside)\n`;
    case 'running': {
      const { command, state } = each.record;
      const what = command === null ? state : `'${escapeStored(command)}'`;
      return `${operation}: running (${what}), ${describeGuardian(each.record)}\n`;
    }
    case 'cut-off': {
      const { record } = each;
      const rows = pending(record).map(({ path }) => `  ${escapeControls(path)}\n`);
      const waiting = rows.length === 0 ? '' : `, and tells these hooks:\n${rows.join('')}`;
      const began = `(${describeProgressOf(record)}), ${describeGuardian(record)}`;
      return `${operation}: CUT OFF ${began}; 'tklbam-hooks recover' finishes it${waiting || '\n'}`;
    }
    case 'owing': {
      const rows = owing(each.record).map(({ path, attempts }) => {
        const next =
          attempts >= MOST_ATTEMPTS
            ? `see to it by hand, then 'tklbam-hooks recover --forget ${operation}'`
            : "'tklbam-hooks recover' tells it again";
        return `! ${escapeControls(path)} (failed ${attempts} of ${MOST_ATTEMPTS} times; ${next})\n`;
      });
      const what = `the one of ${localTime(each.record.since)} failed, and these hooks are still owed 'error'`;
      return `${operation}: OWING, ${what}:\n${rows.join('')}`;
    }
  }
}

/** The most rows for hooks that did nothing wrong; further ones are counted. */
const MOST_ROWS = 12;

function describeLast({ operation, time, seconds, outcome, error, hooks }: Last, now: Date): string {
  const names = [...new Set(hooks.map(({ hook }) => hook))];
  const rows = names.map(name =>
    hookRow(
      name,
      hooks.filter(({ hook }) => hook === name),
    ),
  );
  const [bad, good] = [rows.filter(({ isBad }) => isBad), rows.filter(({ isBad }) => !isBad)];
  const rest = good.length - MOST_ROWS;
  const text = [...bad, ...good.slice(0, MOST_ROWS)].map(row => row.text).join('');
  const more = rest > 0 ? `  and ${rest} more, without a failure\n` : '';
  const verdict = outcome === 'succeeded' ? 'good' : outcome === 'put-off' ? 'put off' : 'FAILED';
  const why = error === null ? '' : `: ${escapeStored(error)}`;
  const when = `${localTime(time)} (${ago(now.getTime() - Date.parse(time))}), took ${seconds} s`;
  return `${operation}: ${verdict}, ${when}${why}\n${text}${more}`;
}

function hookRow(
  name: string,
  entries: readonly HookEntry[],
): { readonly isBad: boolean; readonly text: string } {
  const isBad = entries.some(({ outcome }) => outcome !== 'succeeded');
  const states = entries.map(each => {
    const how = each.outcome === 'succeeded' ? '' : `${describeOutcome(each)}, `;
    return `${escapeControls(each.state)} ${how}${each.seconds.toFixed(1)} s`;
  });
  const output = entries.flatMap(each => (each.output ?? '').split('\n').filter(Boolean));
  const said = output
    .slice(-MOST_LINES)
    .map(line => `      | ${escapeStored(line)}\n`)
    .join('');
  return { isBad, text: `${isBad ? '!' : ' '} ${escapeControls(name)}: ${states.join('; ')}\n${said}` };
}

/** The most lines of a failed hook's output; the log has more. */
const MOST_LINES = 5;

/** An age in the largest unit that it has at least two of. */
function ago(ms: number): string {
  const units = [
    ['d', 86_400_000],
    ['h', 3_600_000],
    ['min', 60_000],
  ] as const;
  const [unit, size] = units.find(([, each]) => ms >= 2 * each) ?? ['s', 1000];
  return ms < 0 ? 'in the future' : `${Math.floor(ms / size)} ${unit} ago`;
}

const describeOutcome = ({ outcome, status, signal }: HookEntry): string =>
  escapeControls(
    outcome === 'failed' ? `exit status ${status}` : outcome === 'killed' ? `${signal}` : outcome,
  );

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
  return `${toJson({ version: 2, sessions: unfinished, last: lastOfEach(entries) }, 2)}\n`;
}
