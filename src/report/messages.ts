// Plans and results to lines of text or JSON, and to the exit status. Pure.
import { escapeControls } from '../cli/text.ts';
import { owed } from '../session/session-file.ts';
import { formatDuration } from '../system/duration.ts';
import { describeErrno } from '../system/errno.ts';
import type {
  Candidate,
  Failure,
  HookEvent,
  Operation,
  Outcome,
  Plan,
  Report,
  Result,
  ResultEntry,
  SessionRecord,
  Verdict,
  Warning,
} from '../types.ts';
import { commandStatus, EX_TEMPFAIL, isFailure, NOT_FOUND } from './exit-status.ts';
import {
  describeDefect,
  describeExpiredKey,
  describeHeaderFault,
  describeRefusal,
  describeSkip,
  reason,
} from './verdicts.ts';

/** The HookError of a result, a line, or the warning where the hook asks for no more; undefined for a success. */
export function describeResult(plan: Plan, result: Result): string | undefined {
  const { outcome } = result;
  if (outcome.kind === 'succeeded') return undefined;
  if (!isFailure(result)) {
    const { operation, state } = plan.event;
    const hook = `'${showPath(result.step.hook)} ${operation} ${state}'`;
    const why = result.step.failure === 'warn' ? ' as it asks (failure=warn)' : '';
    return `tklbam-hooks: ${hook} ${describeOutcome(outcome, result.step.hook)}, ignoring it${why}`;
  }
  const isLast = plan.steps.at(-1) === result.step;
  const rest =
    (plan.stopAtFailure || outcome.kind === 'interrupted') && !isLast
      ? ', the hooks after it were not run'
      : '';
  return hookError(result.step.hook, plan.event, `${describeOutcome(outcome, result.step.hook)}${rest}`);
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

/** For the command that `wrap` did not run, since a hook puts it off. */
export const describeDeferral = (command: string): string =>
  `tklbam-hooks: not now (status ${EX_TEMPFAIL}), '${escapeControls(command)}' was not run`;

/** How the command that `wrap` ran has failed. */
export function describeCommand(command: string, outcome: Outcome): string {
  const name = `'${escapeControls(command)}'`;
  if (outcome.kind === 'failed') return `${name} exited with status ${outcome.status}`;
  if (commandStatus(outcome) !== NOT_FOUND) return `${name} ${describeOutcome(outcome, undefined)}`;
  return `${name} could not be started: it is not in PATH, or its interpreter is missing`;
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
  const why = verdict === undefined ? 'is gone' : (reason(verdict, undefined) ?? '');
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
      const { reason, remedy } = describeDefect(failure.defect, failure.hook);
      const rest = stopAtFailure ? 'no hook was run' : 'the other hooks were run';
      return hookError(failure.hook, event, `could not be started: ${reason}, ${rest} (${remedy})`);
    }
    case 'refused': {
      const { reason, remedy } = describeRefusal(failure.refusal, failure.hook);
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
        failure.why === undefined
          ? 'is in none of the hooks directories'
          : describeSkip(failure.why, failure.key);
      return `tklbam-hooks: no hook to run: '${escapeControls(failure.name)}' ${reason}\nTry 'tklbam-hooks list'.`;
    }
  }
}

export function describeWarning(warning: Warning): string {
  const path = showPath(warning.hook);
  switch (warning.kind) {
    case 'header': {
      const { reason, remedy } = describeHeaderFault(warning);
      return `tklbam-hooks: '${path}': ${reason} (${remedy})`;
    }
    case 'unverified':
      return `tklbam-hooks: '${path}' ${describeSkip(warning.why, warning.key)}, not running it`;
    case 'expired-key':
      return `tklbam-hooks: '${path}' ${describeExpiredKey(warning.key)}, running it`;
  }
}

const hookError = (hook: Candidate, { operation, state }: HookEvent, what: string): string =>
  `HookError: \`${showPath(hook)} ${operation} ${state}\` ${what}`;

export const showPath = (hook: Candidate): string =>
  `${escapeControls(hook.source.directory)}/${showName(hook)}`;

/** On one line, and with nothing lost: bytes that are not UTF-8 as `\xff`. */
export function showName({ name, bytes }: Candidate): string {
  if (Buffer.from(name).equals(bytes)) return escapeControls(name);
  const text = escapeControls(Buffer.from(bytes).toString('latin1'));
  return text.replace(/[\x80-\xff]/g, byte => `\\x${byte.charCodeAt(0).toString(16)}`);
}

/** For `--verbose`. */
export function describeProgress(result: Result): string {
  const seconds = (result.durationMs / 1000).toFixed(1);
  return `tklbam-hooks: '${showPath(result.step.hook)}' ${describeOutcome(result.outcome, result.step.hook)} after ${seconds} s`;
}

export const describeStart = (hook: Candidate, { operation, state }: HookEvent): string =>
  `tklbam-hooks: '${showPath(hook)}' starts (${operation} ${state})`;

function describeOutcome(outcome: Outcome, hook: Candidate | undefined): string {
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
      const { reason, remedy } = describeDefect(outcome.defect, hook);
      return `could not be started: ${reason} (${remedy})`;
    }
  }
}
