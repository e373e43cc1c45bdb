// Results to the exit status. Pure.
import { constants } from 'node:os';
import type { Outcome, Report, Result } from '../types.ts';

/**
 * 0 done; 1 a hook failed or could not be started; 2 `--only` named something that is no hook; 3 a hook was refused;
 * 128+n ended by signal n, as a shell has it.
 */
export function exitStatus({ plan, results, interruption }: Report): number {
  if (interruption !== undefined) return 128 + signalNumber(interruption);
  if (plan.failures.some(({ kind }) => kind === 'refused' || kind === 'directory-refused')) return 3;
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

export const NOT_FOUND = 127;

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
