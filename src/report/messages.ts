// Plans and results to lines of text or JSON, and to the exit status. Pure.

import { didYouMean, escapeControls, quote } from '../cli/text.ts';
import { formatDuration } from '../system/duration.ts';
import { describeErrno } from '../system/errno.ts';
import type {
  Candidate,
  Failure,
  HookEvent,
  Outcome,
  Plan,
  Report,
  Result,
  ResultEntry,
  Trouble,
  Warning,
} from '../types.ts';
import { isFailure } from './exit-status.ts';
import {
  describeDefect,
  describeExpiredKey,
  describeHeaderFault,
  describePathRefusal,
  describeRefusal,
  describeSkip,
  reason,
} from './verdicts.ts';

/** What there is to say of something, and how loud. */
export interface Message {
  /** `error`: a HookError, in the words that TKLBAM's users know. */
  readonly kind: 'error' | 'note';
  readonly text: string;
}

export const messageLine = ({ kind, text }: Message): string =>
  `${kind === 'error' ? 'HookError' : 'tklbam-hooks'}: ${text}`;

/** The message for a result; undefined for a success, and for a failure in `error`, which the session tells itself. */
export function describeResult(plan: Plan, result: Result): Message | undefined {
  const { outcome, step } = result;
  if (outcome.kind === 'succeeded') return undefined;
  if (!isFailure(result)) {
    const { operation, state } = plan.event;
    const hook = `'${showPath(step.hook)} ${operation} ${state}'`;
    return step.failure === 'note'
      ? undefined
      : {
          kind: 'note',
          text: `${hook} ${describeOutcome(outcome, step.hook)}, ignoring it as it asks (failure=warn)`,
        };
  }
  const isLast = plan.steps.at(-1) === step;
  const rest =
    (plan.stopAtFailure || outcome.kind === 'interrupted') && !isLast
      ? ', the hooks after it were not run'
      : '';
  return hookError(step.hook, plan.event, `${describeOutcome(outcome, step.hook)}${rest}`);
}

/** The message for a signal that came while no hook was running. */
export const describeInterruption = (signal: string): Message => ({
  kind: 'error',
  text: `interrupted by signal ${signal}, no further hook was run`,
});

/** What went wrong first. */
export function findTrouble({ plan, results, interruption }: Report): Trouble | undefined {
  const result = results.find(isFailure);
  if (result !== undefined) {
    return { error: describeResult(plan, result)?.text ?? '', failed: result.step.hook.name };
  }
  const [failure] = plan.failures;
  if (failure !== undefined) {
    return {
      error: describeFailure(plan, failure).text,
      failed: 'hook' in failure ? failure.hook.name : '',
    };
  }
  return interruption === undefined
    ? undefined
    : { error: describeInterruption(interruption).text, failed: '' };
}

export const resultEntry = ({ step, outcome, durationMs }: Result): ResultEntry =>
  outcomeEntry(step.hook.path, outcome, durationMs);

export function outcomeEntry(path: string, outcome: Outcome, durationMs: number): ResultEntry {
  return {
    path,
    outcome: outcome.kind,
    status: outcome.kind === 'succeeded' ? 0 : outcome.kind === 'failed' ? outcome.status : null,
    signal: outcome.kind === 'killed' || outcome.kind === 'interrupted' ? outcome.signal : null,
    seconds: Math.round(durationMs) / 1000,
  };
}

/** The message for what was wrong before anything ran. */
export function describeFailure({ event, stopAtFailure }: Plan, failure: Failure): Message {
  const others = stopAtFailure ? 'no hook was run' : 'the other hooks were run';
  switch (failure.kind) {
    case 'broken': {
      const { reason, remedy } = describeDefect(failure.defect, failure.hook);
      return hookError(failure.hook, event, `could not be started: ${reason}, ${others} (${remedy})`);
    }
    case 'refused': {
      const { reason, remedy } = describeRefusal(failure.refusal, failure.hook);
      return hookError(failure.hook, event, `refused: ${reason}, ${others} (${remedy})`);
    }
    case 'directory-refused': {
      const { directory } = failure.source;
      const { reason, remedy } = describePathRefusal(failure.refusal, directory);
      const shown = escapeControls(directory);
      return {
        kind: 'error',
        text: `the hooks directory '${shown}' is refused: ${reason}, ${others} (${remedy})`,
      };
    }
    case 'directory': {
      const rest = stopAtFailure ? 'no hook was run' : 'its hooks were not run';
      const path = escapeControls(failure.source.directory);
      const text =
        failure.code === 'ENOENT'
          ? `there is no hooks directory '${path}', ${rest} (make it, or correct what names it)`
          : `cannot read the hooks directory '${path}': ${describeErrno(failure.code)}, ${rest}`;
      return { kind: 'error', text };
    }
    case 'gone': {
      const why =
        failure.verdict === undefined
          ? 'it is gone'
          : `it ${reason(failure.verdict, undefined) ?? 'has changed'}`;
      const rest = 'what it stopped may still be stopped (bring it back, then: tklbam-hooks recover)';
      const { operation, state } = event;
      const hook = `\`${escapeControls(failure.path)} ${operation} ${state}\``;
      return { kind: 'error', text: `${hook} could not be started: ${why} since it was started, ${rest}` };
    }
    case 'not-a-hook': {
      const reason =
        failure.why === undefined
          ? 'is in none of the hooks directories'
          : describeSkip(failure.why, failure.key);
      const hint = didYouMean(failure.near ?? '');
      const text = `no hook to run: ${quote(failure.name)} ${reason}${hint}\nTry 'tklbam-hooks list'.`;
      return { kind: 'note', text };
    }
  }
}

/** A line. */
export function describeWarning(warning: Warning): string {
  const path = showPath(warning.hook);
  switch (warning.kind) {
    case 'header': {
      const { reason, remedy } = describeHeaderFault(warning);
      return `'${path}': ${reason} (${remedy})`;
    }
    case 'unverified':
      return `'${path}' ${describeSkip(warning.why, warning.key)}, not running it`;
    case 'expired-key':
      return `'${path}' ${describeExpiredKey(warning.key)}, running it`;
  }
}

const hookError = (hook: Candidate, { operation, state }: HookEvent, what: string): Message => ({
  kind: 'error',
  text: `\`${showPath(hook)} ${operation} ${state}\` ${what}`,
});

export const showPath = (hook: Candidate): string =>
  `${escapeControls(hook.source.directory)}/${showName(hook)}`;

/** On one line, and with nothing lost: bytes that are not UTF-8 as `\xff`. */
export function showName({ name, bytes }: Candidate): string {
  if (Buffer.from(name).equals(bytes)) return escapeControls(name);
  const text = escapeControls(Buffer.from(bytes).toString('latin1'));
  return text.replace(/[\x80-\xff]/g, byte => `\\x${byte.charCodeAt(0).toString(16)}`);
}

/** How a result is told with `--verbose`. */
export function describeProgress(result: Result): string {
  const seconds = (result.durationMs / 1000).toFixed(1);
  return `tklbam-hooks: '${showPath(result.step.hook)}' ${describeOutcome(result.outcome, result.step.hook)} after ${seconds} s`;
}

export const describeStart = (hook: Candidate, { operation, state }: HookEvent): string =>
  `tklbam-hooks: '${showPath(hook)}' starts (${operation} ${state})`;

/** ... while it runs. */
export const describeRunning = (hook: Candidate, { operation, state }: HookEvent): string =>
  `'${showPath(hook)}' runs (${operation} ${state})`;

export function describeOutcome(outcome: Outcome, hook: Candidate | undefined): string {
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
