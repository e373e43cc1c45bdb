// `list`, `check` and `--dry-run`: text and JSON. Pure.

import { columns, escapeControls, shorten, wrap } from '../cli/text.ts';
import { timeLimit } from '../hooks/plan.ts';
import { formatDuration } from '../system/duration.ts';
import { describeErrno } from '../system/errno.ts';
import { toJson } from '../system/json.ts';
import type {
  Candidate,
  Finding,
  HookSource,
  Judged,
  JudgedListing,
  Plan,
  Refusal,
  Settings,
  Verdict,
} from '../types.ts';
import { showName, showPath } from './messages.ts';
import { describeExpiredKey, describeHeaderFault, describePathRefusal, reason } from './verdicts.ts';

/** The hooks that a run would start, a line each. */
export const dryRun = ({ steps }: Plan): string =>
  steps.map(({ hook, args }) => `${showPath(hook)} ${args.join(' ')}\n`).join('');

/** A table of at most 80 columns; `entries` are in the order they would run. */
export function listText(listings: readonly JudgedListing[], entries: readonly Judged[]): string {
  const sources = [
    ...new Set([...entries.map(({ hook }) => hook.source), ...listings.map(({ source }) => source)]),
  ];
  return sources
    .map(source => {
      const listing = listings.find(each => each.source === source);
      const own = entries.filter(({ hook }) => hook.source === source);
      const isTold = own.some(({ verdict }) => verdict.kind === 'refuse');
      const note = directoryNote(listing, own.length, isTold);
      return [`${escapeControls(source.directory)}${note}`, ...own.flatMap(row)].join('\n');
    })
    .map(text => `${text}\n`)
    .join('\n');
}

function directoryNote(listing: JudgedListing | undefined, count: number, isTold: boolean): string {
  if (listing?.state === 'absent') return ': no such directory, so no hooks';
  if (typeof listing?.state === 'object' && listing.state.error === 'ENOENT')
    return ': no such directory, though it is named: an error';
  if (typeof listing?.state === 'object') return `: cannot be read: ${describeErrno(listing.state.error)}`;
  // Where a hook is refused, it says why, for the directory too.
  if (listing?.refusal !== undefined && !isTold) {
    return `: refused: ${describeDirectoryRefusal(listing.refusal, listing.source)}`;
  }
  return count === 0 ? ': empty' : ':';
}

function describeDirectoryRefusal(refusal: Refusal, { directory }: HookSource): string {
  const { reason, remedy } = describePathRefusal(refusal, directory);
  return `${reason} (${remedy})`;
}

function row({ hook, verdict }: Judged): string[] {
  const left = `  ${status(verdict).padEnd(11)}  `;
  const name = shorten(showName(hook), 80 - left.length);
  const why = reason(verdict, hook) ?? describeEnabled(hook, verdict);
  if (why === undefined) return [left + name];
  const oneLine = `${left}${name}  ${why}`;
  if (columns(oneLine) <= 80) return [oneLine];
  return [left + name, ...wrap(why, 80 - left.length - 2).map(line => ' '.repeat(left.length + 2) + line)];
}

/** What an enabled hook asks for, and the fault of its signature; undefined if nothing. */
function describeEnabled({ header }: Candidate, verdict: Verdict): string | undefined {
  const key = verdict.kind === 'run' ? verdict.expiredKey : undefined;
  const asked = [
    ...(key === undefined ? [] : [describeExpiredKey(key)]),
    ...(header.timeoutMs === undefined
      ? []
      : [`timeout=${header.timeoutMs === 0 ? '0' : formatDuration(header.timeoutMs)}`]),
    ...(header.failure === 'warn' ? ['failure=warn'] : []),
    ...(header.always ? ['always'] : []),
    ...(header.secrets ? ['secrets=yes'] : []),
    ...header.faults.map(fault => describeHeaderFault(fault).reason),
  ];
  return asked.length === 0 ? undefined : asked.join(', ');
}

export function listJson(
  { event, timeoutMs }: Settings,
  listings: readonly JudgedListing[],
  entries: readonly Judged[],
): string {
  const directories = listings.map(({ source, state, refusal }) => ({
    source: source.kind,
    path: source.directory,
    state: typeof state === 'object' ? 'unreadable' : state,
    error: typeof state === 'object' ? state.error : null,
    refused: refusal === undefined ? null : describeDirectoryRefusal(refusal, source),
  }));
  const hooks = entries.map(({ hook, verdict }) => ({
    name: hook.name,
    path: hook.path,
    source: hook.source.kind,
    status: status(verdict),
    reason: reason(verdict, hook) ?? null,
    timeoutSeconds: (limit => (limit === undefined ? null : limit / 1000))(timeLimit(hook, timeoutMs)),
    failure: hook.header.failure,
  }));
  return `${toJson({ ...event, directories, hooks }, 2)}\n`;
}

export const checkText = (findings: readonly Finding[]): string =>
  findings
    .map(({ path, shown, reason, remedy }) => `'${shown ?? escapeControls(path)}': ${reason} (${remedy})\n`)
    .join('');

export const checkJson = (findings: readonly Finding[]): string =>
  `${toJson({ findings: findings.map(({ name, path, kind, reason, remedy }) => ({ name: name ?? null, path, kind, reason, remedy })) }, 2)}\n`;

type Status = 'enabled' | 'disabled' | 'passed-over' | 'broken' | 'refused';

function status(verdict: Verdict): Status {
  switch (verdict.kind) {
    case 'run':
      return 'enabled';
    case 'skip':
      return verdict.why === 'disabled' ? 'disabled' : 'passed-over';
    case 'broken':
      return 'broken';
    case 'refuse':
      return 'refused';
  }
}
