// Sessions that run or were cut off, and the last of each operation in the log, as text or JSON. Pure.
import { OPERATIONS } from '../cli/grammar.ts';
import { cut, escapeControls, escapeStored, quote, shellWord, shorten, wrap } from '../cli/text.ts';
import { MOST_ATTEMPTS, owing, pending } from '../session/session-file.ts';
import { toJson } from '../system/json.ts';
import type { HookEntry, PastSession, Standing, Unfinished } from '../types.ts';
import { describeEnd, outcomeWord } from './history.ts';
import { describeGuardian, describeProgressOf, localTime, operationOf } from './session-messages.ts';
import { ago, took } from './times.ts';

/** What the text is for. */
export interface Screen {
  readonly now: Date;
  /** Of the terminal; 80 and 24 without one. */
  readonly columns: number;
  readonly rows: number;
  /** Whether everything is shown, whether it fits or not. */
  readonly isWhole: boolean;
}

const isSame = (a: PastSession, b: PastSession): boolean => a.operation === b.operation && a.name === b.name;

/**
 * The last session of each operation and name, the latest first; `past` is oldest first. A name that was only ever turned away, such as one that
 * was misspelt, counts as long as nothing came after it.
 */
function lastOfEach(past: readonly PastSession[]): PastSession[] {
  const latest = past.toReversed();
  return OPERATIONS.flatMap(operation =>
    latest
      .filter(each => each.operation === operation)
      .filter((each, index, own) => {
        if (own.findIndex(other => isSame(each, other)) !== index) return false;
        return index === 0 || own.some(other => isSame(each, other) && other.outcome !== 'turned-away');
      }),
  );
}

/**
 * Verdicts first: an operation that runs, was cut off or owes something, and how the last one of each ended. Then a row for each hook, as many as
 * fit.
 */
export function statusText(
  sessions: readonly Unfinished[],
  past: readonly PastSession[],
  standings: readonly Standing[],
  screen: Screen,
): string {
  const lasts = lastOfEach(past);
  const verdicts = [
    ...sessions.flatMap(each => describeUnfinished(each).trimEnd().split('\n')),
    ...lasts.flatMap(last => verdictOf(last, lasts, lastGood(last, past, standings), screen)),
  ];
  if (verdicts.length === 0) return 'No backup or restore is running, and none is in the log.\n';
  const height = (line: string): number => Math.max(1, Math.ceil(line.length / screen.columns));
  const tables = lasts
    .filter(({ hooks }) => hooks.length > 0)
    .map(last => ({ last, rows: rowsOf(last, past) }));
  let text: string[] = [];
  for (const each of limits(screen)) {
    text = [...verdicts, ...tables.flatMap(({ last, rows }) => details(last, rows, each, screen))];
    // The last line is for the prompt.
    if (screen.isWhole || text.reduce((sum, line) => sum + height(line), 0) < screen.rows) break;
  }
  return text.map(line => `${line}\n`).join('');
}

/** When the last session of that kind ended well; undefined if that is not known. */
function lastGood(
  last: PastSession,
  past: readonly PastSession[],
  standings: readonly Standing[],
): string | undefined {
  const good = past.findLast(each => isSame(each, last) && each.outcome === 'succeeded');
  const standing = standings.find(
    ({ operation, name }) => operation === last.operation && name === last.name,
  );
  return good?.time ?? standing?.success?.time;
}

function verdictOf(
  last: PastSession,
  lasts: readonly PastSession[],
  good: string | undefined,
  { now, columns }: Screen,
): string[] {
  const { operation, name, time, seconds, outcome, error } = last;
  const isOne = lasts.filter(each => each.operation === operation).length === 1;
  const what = isOne || name === undefined ? operation : `${operation} '${escapeControls(name)}'`;
  const when = (iso: string): string => `${ago(now.getTime() - Date.parse(iso))} (${localTime(iso)})`;
  const why = error === null ? [] : wrap(escapeStored(error), columns - 2);
  const verdict = `${what}: ${outcomeWord(outcome)}, ${when(time)}, took ${took(seconds)}`;
  if (outcome === 'succeeded') return [verdict];
  const next = outcome === 'failed' ? nextStep(last) : undefined;
  return [
    verdict,
    ...why.map(line => `  ${line}`),
    `  the last good one: ${good === undefined ? 'none is known' : when(good)}`,
    ...(next === undefined ? [] : [`  ${next}`]),
  ];
}

/** What to do about it; undefined where what went wrong says that by itself. */
function nextStep({ operation, hooks, command }: PastSession): string | undefined {
  const failed = hooks.find(({ state, outcome }) => state !== 'error' && outcome !== 'succeeded');
  if (failed === undefined) {
    if (command === undefined || command.outcome === 'succeeded') return undefined;
    return `see what ${quote(command.path)} said: in the mail of cron, or in the journal of its unit`;
  }
  const name = escapeControls(failed.hook);
  // Not a restore, whose hooks would put back what they have.
  if (operation === 'restore') return `mend ${name}, and see: tklbam-hooks check ${shellWord(name)}`;
  const inspect = failed.state === 'inspect' ? ' --inspect DIR' : '';
  return `mend ${name}, and try it: tklbam-hooks wrap backup${inspect} --only ${shellWord(name)} -- true`;
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

/** What was spent on a hook in a session. */
interface Row {
  readonly name: string;
  readonly seconds: number;
  /** The median of earlier sessions that succeeded; undefined if there are too few. */
  readonly usual: number | undefined;
  readonly failures: readonly string[];
  /** The last lines that it wrote. */
  readonly output: readonly string[];
}

function rowsOf(last: PastSession, past: readonly PastSession[]): Row[] {
  const names = [...new Set(last.hooks.map(({ hook }) => hook))];
  const earlier = past.filter(each => each !== last && isSame(each, last) && each.outcome === 'succeeded');
  return names.map(name => {
    const own = ownOf(last, name);
    return {
      name,
      seconds: total(own),
      usual: median(
        earlier.flatMap(each => (ownOf(each, name).length === 0 ? [] : [total(ownOf(each, name))])),
      ),
      failures: own
        .filter(({ outcome }) => outcome !== 'succeeded')
        .map(each => `${escapeControls(each.state)}: ${describeEnd(each)}`),
      output: own.flatMap(each => (each.output ?? '').split('\n').filter(Boolean)),
    };
  });
}

const ownOf = ({ hooks }: PastSession, name: string): HookEntry[] =>
  hooks.filter(({ hook }) => hook === name);

const total = (entries: readonly HookEntry[]): number =>
  entries.reduce((sum, { seconds }) => sum + seconds, 0);

/** What is usual can be said of three. */
function median(values: readonly number[]): number | undefined {
  return values.length < 3 ? undefined : values.toSorted((a, b) => a - b)[values.length >> 1];
}

/** How much is shown of the hooks of a session. */
interface Limits {
  /** Hooks that did nothing wrong. */
  readonly good: number;
  /** Lines of a failed hook's output. */
  readonly output: number;
  readonly bad: number;
}

/** The most first. Hooks that failed and what they said are what one looks for, and go last. */
function* limits({ rows, isWhole }: Screen): Generator<Limits> {
  const all = Number.POSITIVE_INFINITY;
  yield { good: isWhole ? all : MOST_ROWS, output: isWhole ? all : MOST_LINES, bad: all };
  if (isWhole) return;
  for (let good = MOST_ROWS - 1; good >= 0; good--) yield { good, output: MOST_LINES, bad: all };
  for (let output = MOST_LINES - 1; output >= 1; output--) yield { good: 0, output, bad: all };
  for (let bad = rows; bad >= 1; bad--) yield { good: 0, output: 1, bad };
}

/** The most rows for hooks that did nothing wrong; further ones are counted. */
const MOST_ROWS = 12;
/** The most lines of a failed hook's output; the log has more. */
const MOST_LINES = 5;

function details(
  last: PastSession,
  rows: readonly Row[],
  { good, output, bad }: Limits,
  { columns }: Screen,
): string[] {
  const longest = Math.max(...rows.flatMap(({ seconds, usual }) => [seconds, usual ?? 0]));
  const width = Math.min(Math.max(...rows.map(({ name }) => escapeControls(name).length)), 30);
  const [failed, others] = [rows.filter(isBad), rows.filter(each => !isBad(each))];
  const [shown, fine] = [failed.slice(0, bad), others.slice(0, good)];
  const line = (row: Row): string[] => {
    const { name, seconds, usual, failures } = row;
    const end = [usual === undefined ? [] : [`usually ${took(usual)}`], failures].flat().join(', ');
    const cells = [
      shorten(escapeControls(name), width).padEnd(width),
      bar(row, longest),
      took(seconds).padStart(9),
    ];
    const said = row.output.slice(-output).map(each => cut(`      | ${escapeStored(each)}`, columns));
    return [`${isBad(row) ? '!' : ' '} ${cells.join('  ')}  ${end}`.trimEnd(), ...(isBad(row) ? said : [])];
  };
  const more = [
    ...(failed.length > shown.length
      ? [`! and ${failed.length - shown.length} more that failed (--all)`]
      : []),
    ...(others.length > fine.length
      ? [`  and ${others.length - fine.length} more, without a failure (--all)`]
      : []),
  ];
  return [
    '',
    `The hooks of the ${last.operation} of ${localTime(last.time)}:`,
    ...[...shown, ...fine].flatMap(line),
    ...more,
  ];
}

const isBad = ({ failures }: Row): boolean => failures.length > 0;

const BAR = 10;

/** As long as it took, with what is beyond the usual as `+`, and what it was quicker as `.`. */
function bar({ seconds, usual }: Row, longest: number): string {
  const cells = (value: number): number => Math.round((value / Math.max(longest, 0.001)) * BAR);
  const [took, often] = [cells(seconds), cells(usual ?? seconds)];
  const text =
    '='.repeat(Math.min(took, often)) +
    '+'.repeat(Math.max(0, took - often)) +
    '.'.repeat(Math.max(0, often - took));
  return text.padEnd(BAR);
}

export function statusJson(
  sessions: readonly Unfinished[],
  past: readonly PastSession[],
  standings: readonly Standing[],
): string {
  const unfinished = sessions.map(each => {
    const record = 'record' in each ? each.record : undefined;
    return {
      operation: operationOf(each),
      kind: each.kind,
      running: each.kind === 'running',
      session: record?.session ?? null,
      name: record?.name ?? null,
      since: record?.since ?? null,
      state: record?.state ?? null,
      guardian: record?.guardian.pid ?? null,
      caller: record?.caller ?? null,
      started: record?.started.map(({ path }) => path) ?? [],
      owed: record === undefined ? [] : owing(record).map(({ path, attempts }) => ({ path, attempts })),
      error: record?.error ?? null,
    };
  });
  const last = lastOfEach(past).map(each => ({ ...each, lastGood: lastGood(each, past, standings) ?? null }));
  return `${toJson({ version: 3, sessions: unfinished, last }, 2)}\n`;
}
