// Plans and results to lines of text or JSON, and to the exit status. Pure.
import { constants } from 'node:os';
import { escapeControls, wrap } from './cli.ts';
import { formatDuration } from './duration.ts';
import { timeLimit } from './plan.ts';
import { owed } from './record.ts';
import type {
  Candidate,
  Defect,
  Failure,
  Finding,
  HookEvent,
  Judged,
  Listing,
  Operation,
  Outcome,
  Plan,
  Refusal,
  Report,
  Result,
  ResultEntry,
  SessionRecord,
  Settings,
  Skip,
  Verdict,
  Warning,
} from './types.ts';

/**
 * 0 done; 1 a hook failed or could not be started; 2 `--only` named something that is no hook; 3 a hook was refused;
 * 128+n ended by signal n, as a shell has it.
 */
export function exitStatus({ plan, results, interruption }: Report): number {
  if (interruption !== undefined) return 128 + signalNumber(interruption);
  if (plan.failures.some(({ kind }) => kind === 'refused')) return 3;
  if (plan.failures.some(({ kind }) => kind === 'not-a-hook')) return 2;
  const hasFailed = plan.failures.length > 0 || results.some(result => isFailure(result));
  return hasFailed ? 1 : 0;
}

/** By signal(7). */
const signalNumber = (signal: string): number => new Map(Object.entries(constants.signals)).get(signal) ?? 0;

/** Whether it makes the run fail. An interruption does so even where the hook's own failure would be a warning. */
export function isFailure({ step, outcome }: Result): boolean {
  if (outcome.kind === 'succeeded') return false;
  return step.failure === 'stop' || outcome.kind === 'interrupted';
}

/** The HookError of a result, a line, or the warning where the hook asks for no more; undefined for a success. */
export function describeResult(plan: Plan, result: Result): string | undefined {
  const { outcome } = result;
  if (outcome.kind === 'succeeded') return undefined;
  if (!isFailure(result)) {
    const { operation, state } = plan.event;
    const hook = `'${showPath(result.step.hook)} ${operation} ${state}'`;
    const why = result.step.failure === 'warn' ? ' as it asks (failure=warn)' : '';
    return `tklbam-hooks: ${hook} ${describeOutcome(outcome)}, ignoring it${why}`;
  }
  const isLast = plan.steps.at(-1) === result.step;
  const rest =
    (plan.stopAtFailure || outcome.kind === 'interrupted') && !isLast
      ? ', the hooks after it were not run'
      : '';
  return hookError(result.step.hook, plan.event, `${describeOutcome(outcome)}${rest}`);
}

/** For a signal that came while no hook was running. */
export const describeInterruption = (signal: string): string =>
  `HookError: interrupted by signal ${signal}, no further hook was run`;

/** What went wrong first, a line without the `HookError: ` that it is told with, and the name of the hook if it was one. */
export function firstError({
  plan,
  results,
  interruption,
}: Report): { error: string; failed: string } | undefined {
  const result = results.find(isFailure);
  if (result !== undefined) return bare(describeResult(plan, result), result.step.hook.name);
  const [failure] = plan.failures;
  if (failure !== undefined) {
    return bare(describeFailure(plan, failure), 'hook' in failure ? failure.hook.name : '');
  }
  return interruption === undefined ? undefined : bare(describeInterruption(interruption), '');
}

const bare = (text: string | undefined, failed: string): { error: string; failed: string } => ({
  error: (text ?? '').replace(/^HookError: /, ''),
  failed,
});

/** Whether a hook of `pre` puts the operation off, by exiting with EX_TEMPFAIL of sysexits.h. */
export const isDeferred = ({ results }: Report): boolean =>
  results.some(
    result =>
      isFailure(result) &&
      result.step.args[1] === 'pre' &&
      result.outcome.kind === 'failed' &&
      result.outcome.status === EX_TEMPFAIL,
  );

export const EX_TEMPFAIL = 75;

/** For the command that `wrap` did not run, since a hook puts it off. */
export const describeDeferral = (command: string): string =>
  `tklbam-hooks: not now (status ${EX_TEMPFAIL}), '${escapeControls(command)}' was not run`;

/** How the command that `wrap` ran has failed. */
export function describeCommand(command: string, outcome: Outcome): string {
  const name = `'${escapeControls(command)}'`;
  if (outcome.kind === 'failed') return `${name} exited with status ${outcome.status}`;
  if (commandStatus(outcome) !== NOT_FOUND) return `${name} ${describeOutcome(outcome)}`;
  return `${name} could not be started: it is not in PATH, or its interpreter is missing`;
}

const NOT_FOUND = 127;

/** As a shell and env(1) have it. */
export function commandStatus(outcome: Outcome): number {
  switch (outcome.kind) {
    case 'succeeded':
      return 0;
    case 'failed':
      return outcome.status;
    case 'killed':
    case 'interrupted':
      return 128 + signalNumber(outcome.signal);
    case 'timed-out':
      return 124;
    case 'not-started':
      return outcome.defect.kind === 'system' && outcome.defect.code === 'ENOENT' ? NOT_FOUND : 126;
  }
}

/** The hooks that `recover` would tell, a line each. */
export const describeOwed = (record: SessionRecord): string =>
  owed(record)
    .map(path => `${escapeControls(path)} ${record.operation} error\n`)
    .join('');

export function resultEntry({ step, outcome, durationMs }: Result): ResultEntry {
  return {
    path: step.hook.path,
    outcome: outcome.kind,
    status: outcome.kind === 'succeeded' ? 0 : outcome.kind === 'failed' ? outcome.status : null,
    signal: outcome.kind === 'killed' || outcome.kind === 'interrupted' ? outcome.signal : null,
    seconds: Math.round(durationMs) / 1000,
  };
}

/** How the hooks of `post` differ from those of `pre`, a line each. */
export function describeChanges(before: Plan, after: Plan): string[] {
  const facts = ({ steps }: Plan): Map<string, string> =>
    new Map(steps.map(({ hook }) => [hook.path, JSON.stringify(hook.file)]));
  const [then, now] = [facts(before), facts(after)];
  const tell = (path: string, what: string): string =>
    `tklbam-hooks: '${escapeControls(path)}' ${what} since pre`;
  return [
    ...[...then.keys()].filter(path => !now.has(path)).map(path => tell(path, 'went, or was switched off,')),
    ...[...now].flatMap(([path, facts]) => {
      if (!then.has(path)) return [tell(path, 'came, or was switched on,')];
      return then.get(path) === facts ? [] : [tell(path, 'was changed')];
    }),
  ];
}

/** For a hook that was started in a session and cannot be told of its failure. */
export function describeUntold(path: string, verdict: Verdict | undefined): string {
  const why = verdict === undefined ? 'is gone' : (reason(verdict) ?? '');
  const subject = verdict === undefined || verdict.kind === 'skip' ? 'it ' : '';
  return `tklbam-hooks: '${escapeControls(path)}' was started, and cannot be told what went wrong: ${subject}${why}`;
}

/** Why there is no session: another one has the operation. */
export function describeHolder(operation: Operation, record: SessionRecord | undefined): string {
  if (record === undefined)
    return `another ${operation} session is just beginning or ending, no hook was run (try again)`;
  const { guardian, since, caller } = record;
  const who = `pid ${guardian.pid}, since ${localTime(since)}, called by '${escapeControls(caller.name)}' (pid ${caller.pid})`;
  return `another ${operation} session is running: ${who}; no hook was run`;
}

/** As `date '+%F %T'` has it. */
export function localTime(iso: string): string {
  const time = new Date(iso);
  if (Number.isNaN(time.getTime())) return escapeControls(iso);
  const two = (value: number): string => String(value).padStart(2, '0');
  const date = [time.getFullYear(), two(time.getMonth() + 1), two(time.getDate())].join('-');
  return `${date} ${[time.getHours(), time.getMinutes(), time.getSeconds()].map(two).join(':')}`;
}

/** What was wrong before anything ran, a line. */
export function describeFailure({ event, stopAtFailure }: Plan, failure: Failure): string {
  switch (failure.kind) {
    case 'broken': {
      const { reason, remedy } = describeDefect(failure.defect);
      const rest = stopAtFailure ? 'no hook was run' : 'the other hooks were run';
      return hookError(failure.hook, event, `could not be started: ${reason}, ${rest} (${remedy})`);
    }
    case 'refused': {
      const { reason, remedy } = describeRefusal(failure.refusal);
      const rest = stopAtFailure ? 'no hook was run' : 'the other hooks were run';
      return hookError(failure.hook, event, `refused: ${reason}, ${rest} (${remedy})`);
    }
    case 'directory': {
      const rest = stopAtFailure ? 'no hook was run' : 'its hooks were not run';
      const reason = `cannot read the hooks directory '${escapeControls(failure.source.directory)}'`;
      return `HookError: ${reason}: ${describeErrno(failure.code)}, ${rest}`;
    }
    case 'not-a-hook': {
      const reason =
        failure.why === undefined ? 'is in none of the hooks directories' : describeSkip(failure.why);
      return `tklbam-hooks: no hook to run: '${escapeControls(failure.name)}' ${reason}\nTry 'tklbam-hooks list'.`;
    }
  }
}

export function describeWarning(warning: Warning): string {
  const path = showPath(warning.hook);
  switch (warning.kind) {
    case 'header': {
      const known = 'it is one of timeout=DURATION, failure=warn';
      return `tklbam-hooks: '${path}': line ${warning.line}: cannot read '${escapeControls(warning.text)}', ignoring it (${known})`;
    }
    case 'unverified':
      return `tklbam-hooks: '${path}' ${describeSkip(warning.why)}, not running it`;
  }
}

const hookError = (hook: Candidate, { operation, state }: HookEvent, what: string): string =>
  `HookError: \`${showPath(hook)} ${operation} ${state}\` ${what}`;

const showPath = (hook: Candidate): string => `${escapeControls(hook.source.directory)}/${showName(hook)}`;

/** On one line, and with nothing lost: bytes that are not UTF-8 as `\xff`. */
function showName({ name, bytes }: Candidate): string {
  if (Buffer.from(name).equals(bytes)) return escapeControls(name);
  const text = escapeControls(Buffer.from(bytes).toString('latin1'));
  return text.replace(/[\x80-\xff]/g, byte => `\\x${byte.charCodeAt(0).toString(16)}`);
}

/** For `--verbose`. */
export function describeProgress(result: Result): string {
  const seconds = (result.durationMs / 1000).toFixed(1);
  return `tklbam-hooks: '${showPath(result.step.hook)}' ${describeOutcome(result.outcome)} after ${seconds} s`;
}

export const describeStart = (hook: Candidate, { operation, state }: HookEvent): string =>
  `tklbam-hooks: '${showPath(hook)}' starts (${operation} ${state})`;

function describeOutcome(outcome: Outcome): string {
  switch (outcome.kind) {
    case 'succeeded':
      return 'succeeded';
    case 'failed':
      // The words that TKLBAM's users know.
      return `non-zero exitcode (${outcome.status})`;
    case 'killed':
      return `killed by signal ${outcome.signal}`;
    case 'timed-out':
      return `timed out after ${formatDuration(outcome.afterMs)}`;
    case 'interrupted':
      return `interrupted by signal ${outcome.signal}`;
    case 'not-started': {
      const { reason, remedy } = describeDefect(outcome.defect);
      return `could not be started: ${reason} (${remedy})`;
    }
  }
}

const DISABLE = 'or chmod -x it to disable it';

export function describeDefect(defect: Defect): { readonly reason: string; readonly remedy: string } {
  switch (defect.kind) {
    case 'dangling-link':
      return {
        reason: `its target '${escapeControls(defect.target)}' is missing`,
        remedy: 'restore the target, or remove the link',
      };
    case 'link-loop':
      return { reason: 'it is a link that leads back to itself', remedy: 'remove the link' };
    case 'unreachable':
      return { reason: describeErrno(defect.code), remedy: `mend that, ${DISABLE}` };
    case 'name-not-utf8':
      return { reason: 'its name is not valid UTF-8', remedy: `rename it, ${DISABLE}` };
    case 'no-permission':
      return { reason: 'permission denied', remedy: 'run as root, or chmod a+rx it' };
    case 'noexec':
      return { reason: 'its file system is mounted noexec', remedy: `remount it with exec, ${DISABLE}` };
    case 'crlf':
      return {
        reason: 'its first line ends in CRLF, as written on Windows',
        remedy: `sed -i 's/\\r$//' it, ${DISABLE}`,
      };
    case 'byte-order-mark':
      return {
        reason: 'it starts with a byte order mark',
        remedy: `sed -i '1s/^\\xef\\xbb\\xbf//' it, ${DISABLE}`,
      };
    case 'garbage':
      return { reason: 'it is neither a script nor a program', remedy: `replace it, ${DISABLE}` };
    case 'relative-interpreter':
      return {
        reason: `its interpreter '${escapeControls(defect.interpreter)}' is not an absolute path`,
        remedy: `correct its first line, ${DISABLE}`,
      };
    case 'no-interpreter':
      return {
        reason: `its interpreter '${escapeControls(defect.interpreter)}' is missing`,
        remedy: `install that, or correct the first line of the hook, ${DISABLE}`,
      };
    case 'interpreter-denied':
      return {
        reason: `its interpreter '${escapeControls(defect.interpreter)}' cannot be executed`,
        remedy: `correct its first line, ${DISABLE}`,
      };
    case 'architecture':
      return {
        reason: `it was built for another architecture (ELF machine ${defect.machine})`,
        remedy: `install the build for this one, ${DISABLE}`,
      };
    case 'system':
      return describeAttempt(defect.code);
  }
}

export function describeRefusal(refusal: Refusal): { readonly reason: string; readonly remedy: string } {
  switch (refusal.kind) {
    case 'set-id':
      return { reason: 'it is set-user-ID or set-group-ID', remedy: `chmod ug-s it, ${DISABLE}` };
    case 'signature':
      return { reason: refusal.reason, remedy: `${refusal.remedy}, ${DISABLE}` };
    case 'owner': {
      const where = refusal.directory === undefined ? undefined : `'${escapeControls(refusal.directory)}'`;
      return {
        reason: `${where ?? 'it'} belongs to user ${refusal.uid}`,
        remedy: `chown root ${where ?? 'it'}, ${DISABLE}`,
      };
    }
    case 'writable': {
      const who = (refusal.mode & 0o002) === 0 ? 'its group' : 'everybody';
      if (refusal.directory === undefined) {
        return { reason: `it is writable by ${who}`, remedy: `chmod go-w it, ${DISABLE}` };
      }
      const where = `'${escapeControls(refusal.directory)}'`;
      const isShared = (refusal.mode & 0o1002) === 0o1002;
      return {
        reason: `${where} is writable by ${who}`,
        remedy: isShared ? `move the hook out of it, ${DISABLE}` : `chmod go-w ${where}, ${DISABLE}`,
      };
    }
  }
}

/** What `execve(2)` and `fork(2)` say about a hook that looked well. */
function describeAttempt(code: string): { readonly reason: string; readonly remedy: string } {
  const known: Readonly<Record<string, [string, string]>> = {
    ENOENT: ['it, its interpreter or the directory to run it in is gone', 'it was there when the run began'],
    EACCES: ['permission denied', 'chmod a+rx it, or see to its interpreter'],
    ETXTBSY: ['it is open for writing', 'try again when that is done'],
    E2BIG: ['the environment is too large', 'unset large variables'],
  };
  const [reason, remedy] = known[code] ?? [describeErrno(code), 'try again when that is mended'];
  return { reason, remedy };
}

/** As strerror(3) has it, for the errors that an administrator can meet here. */
export function describeErrno(code: string): string {
  const known: Readonly<Record<string, string>> = {
    EACCES: 'permission denied',
    EAGAIN: 'too many processes',
    EIO: 'input/output error',
    ELOOP: 'too many links',
    EDQUOT: 'the disk quota is used up',
    EMFILE: 'too many open files',
    ENAMETOOLONG: 'its name is too long',
    ENFILE: 'too many open files',
    ENOENT: 'it is gone',
    ENOMEM: 'out of memory',
    ENOSPC: 'no space left on the device',
    ENOTDIR: 'not a directory',
    EPERM: 'not permitted',
    EROFS: 'the file system is read-only',
  };
  const text = known[code];
  return text === undefined ? code : `${text} (${code})`;
}

export function describeSkip(why: Skip): string {
  switch (why) {
    case 'disabled':
      return 'is not executable (chmod +x enables it)';
    case 'name':
      return 'has the name of a backup, package manager or data file';
    case 'not-a-file':
      return 'is not a file';
    case 'masked':
      return 'is masked (empty, or a link to /dev/null)';
    case 'no-signature':
      return 'is a profile hook without a signature';
    case 'no-keyring':
      return 'is a profile hook, and there is no keyring to check its signature with';
    case 'no-gpgv':
      return 'is a profile hook, and there is no gpgv to check its signature with (apt install gpgv)';
  }
}

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

function reason(verdict: Verdict): string | undefined {
  switch (verdict.kind) {
    case 'run':
      return undefined;
    case 'refuse': {
      const { reason, remedy } = describeRefusal(verdict.refusal);
      return `${reason} (${remedy})`;
    }
    case 'skip':
      return describeSkip(verdict.why);
    case 'broken': {
      const { reason, remedy } = describeDefect(verdict.defect);
      return `${reason} (${remedy})`;
    }
  }
}

/** The hooks that a run would start, a line each. */
export const dryRun = ({ steps }: Plan): string =>
  steps.map(({ hook, args }) => `${showPath(hook)} ${args.join(' ')}\n`).join('');

/** A table of at most 80 columns; `entries` are in the order they would run. */
export function listText(listings: readonly Listing[], entries: readonly Judged[]): string {
  const sources = [
    ...new Set([...entries.map(({ hook }) => hook.source), ...listings.map(({ source }) => source)]),
  ];
  return sources
    .map(source => {
      const listing = listings.find(each => each.source === source);
      const lines = entries.filter(({ hook }) => hook.source === source).flatMap(row);
      return [`${escapeControls(source.directory)}${directoryNote(listing, lines.length)}`, ...lines].join(
        '\n',
      );
    })
    .map(text => `${text}\n`)
    .join('\n');
}

function directoryNote(listing: Listing | undefined, count: number): string {
  if (listing?.state === 'absent') return ': no such directory, so no hooks';
  if (typeof listing?.state === 'object') return `: cannot be read: ${describeErrno(listing.state.error)}`;
  return count === 0 ? ': empty' : ':';
}

function row({ hook, verdict }: Judged): string[] {
  const left = `  ${status(verdict).padEnd(11)}  `;
  const name = shorten(showName(hook), 80 - left.length);
  const why = reason(verdict) ?? describeHeader(hook);
  if (why === undefined) return [left + name];
  const oneLine = `${left}${name}  ${why}`;
  if (columns(oneLine) <= 80) return [oneLine];
  return [left + name, ...wrap(why, 80 - left.length - 2).map(line => ' '.repeat(left.length + 2) + line)];
}

/** What a hook asks for; undefined if nothing. */
function describeHeader({ header }: Candidate): string | undefined {
  const asked = [
    ...(header.timeoutMs === undefined
      ? []
      : [`timeout=${header.timeoutMs === 0 ? '0' : formatDuration(header.timeoutMs)}`]),
    ...(header.failure === 'warn' ? ['failure=warn'] : []),
    ...header.faults.map(({ line, text }) => `line ${line}: cannot read '${escapeControls(text)}'`),
  ];
  return asked.length === 0 ? undefined : asked.join(', ');
}

/** The middle gives way: both ends of a name tell more. */
function shorten(text: string, width: number): string {
  if (columns(text) <= width) return text;
  const isWide = columns(text) > text.length;
  const half = Math.floor((width - 2) / (isWide ? 4 : 2));
  return `${text.slice(0, half)}…${text.slice(-half)}`;
}

/** The most that the text can take on a terminal: what is beyond Latin may be two columns wide. */
const columns = (text: string): number => text.replace(/[^\0-\u024f\u2026]/g, '..').length;

export function listJson(
  { event, timeoutMs }: Settings,
  listings: readonly Listing[],
  entries: readonly Judged[],
): string {
  const directories = listings.map(({ source, state }) => ({
    source: source.kind,
    path: source.directory,
    state: typeof state === 'object' ? 'unreadable' : state,
    error: typeof state === 'object' ? state.error : null,
  }));
  const hooks = entries.map(({ hook, verdict }) => ({
    name: hook.name,
    path: hook.path,
    source: hook.source.kind,
    status: status(verdict),
    reason: reason(verdict) ?? null,
    timeoutSeconds: (limit => (limit === undefined ? null : limit / 1000))(timeLimit(hook, timeoutMs)),
    failure: hook.header.failure,
  }));
  return `${JSON.stringify({ ...event, directories, hooks }, undefined, 2)}\n`;
}

export const checkText = (findings: readonly Finding[]): string =>
  findings.map(({ path, reason, remedy }) => `'${escapeControls(path)}': ${reason} (${remedy})\n`).join('');

export const checkJson = (findings: readonly Finding[]): string =>
  `${JSON.stringify({ findings: findings.map(each => ({ ...each, name: each.name ?? null })) }, undefined, 2)}\n`;
