// A line of the log as an entry of systemd's journal (systemd.journal-fields(7)). Pure.
import { escapeControls, escapeStored } from '../cli/text.ts';
import type { HookEntry, LogEntry, SessionEntry } from '../types.ts';
import { describeEnd, outcomeWord } from './history.ts';
import { took } from './times.ts';

/** By which entries of a kind are found, whatever their words (sd-id128(3)). */
const MESSAGE_IDS: Readonly<Record<LogEntry['type'], string>> = {
  hook: '4f7d5e0f8c1e4a4c9a2b6d6a3b0f7c51',
  session: 'b1c07c7f6a0d4bb2a6a9f6a4c2de9d38',
};

const GOOD: readonly string[] = ['succeeded', 'settled', 'forgotten', 'put-off'];

/** Of syslog(3): an error, or information. */
export const priority = ({ outcome }: LogEntry): number => (GOOD.includes(outcome) ? 6 : 3);

/** Lines of NAME=VALUE, as `logger --journald` reads them. What a hook said is not among them. */
export function journalEntry(entry: LogEntry): string {
  const { type, session, operation, outcome, seconds } = entry;
  const fields: Readonly<Record<string, string | number | null | undefined>> = {
    MESSAGE_ID: MESSAGE_IDS[type],
    MESSAGE: type === 'hook' ? hookWords(entry) : sessionWords(entry),
    PRIORITY: priority(entry),
    SYSLOG_IDENTIFIER: 'tklbam-hooks',
    TKLBAM_SESSION: session,
    TKLBAM_OPERATION: operation,
    TKLBAM_OUTCOME: outcome,
    TKLBAM_SECONDS: seconds,
    ...(type === 'hook'
      ? {
          TKLBAM_STATE: entry.state,
          TKLBAM_HOOK: entry.hook,
          TKLBAM_STATUS: entry.status,
          TKLBAM_SIGNAL: entry.signal,
        }
      : { TKLBAM_NAME: entry.name, TKLBAM_ERROR: entry.error, TKLBAM_OWED: entry.owed }),
  };
  return Object.entries(fields)
    .flatMap(([name, value]) =>
      value === null || value === undefined ? [] : [`${name}=${escapeStored(String(value))}\n`],
    )
    .join('');
}

function hookWords(entry: HookEntry): string {
  const how = entry.outcome === 'succeeded' ? 'succeeded' : `failed (${describeEnd(entry)})`;
  return `${entry.operation} ${entry.state}: '${escapeControls(entry.hook)}' ${how} after ${took(entry.seconds)}`;
}

function sessionWords({ operation, name, outcome, error, seconds }: SessionEntry): string {
  const what = name === undefined ? operation : `${operation} '${escapeControls(name)}'`;
  const word = LATER[outcome] ?? outcomeWord(outcome);
  return `${what}: ${word}, took ${took(seconds)}${error === null ? '' : `: ${error}`}`;
}

/** What became of a session after its end. */
const LATER: Readonly<Partial<Record<SessionEntry['outcome'], string>>> = {
  owing: 'hooks that failed in error are not told again',
  settled: 'all hooks that were owed error were told',
  forgotten: 'what was owed was given up',
};
