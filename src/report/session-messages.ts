// What is told of sessions. Pure.
import { escapeControls, escapeStored } from '../cli/text.ts';
import { MOST_ATTEMPTS, owing, pending } from '../session/session-file.ts';
import { describeErrno } from '../system/errno.ts';
import type { Operation, Outcome, Plan, Result, SessionRecord, Step, Unfinished, Verdict } from '../types.ts';
import { commandStatus, EX_TEMPFAIL, NOT_FOUND } from './exit-status.ts';
import { describeOutcome } from './messages.ts';
import { reason } from './verdicts.ts';

/** Why `wrap` did not run its command: a hook puts it off. */
export const describeDeferral = (command: string): string =>
  `tklbam-hooks: not now (status ${EX_TEMPFAIL}), '${escapeControls(command)}' was not run`;

/** How wrap's command failed. */
export function describeCommand(command: string, outcome: Outcome): string {
  const name = `'${escapeControls(command)}'`;
  if (outcome.kind === 'failed') return `${name} exited with status ${outcome.status}`;
  if (commandStatus(outcome) !== NOT_FOUND) return `${name} ${describeOutcome(outcome, undefined)}`;
  return `${name} could not be started: it is not in PATH, or its interpreter is missing`;
}

/** Why wrap's command cannot be run: 127, it is not to be found, or 126. */
export const describeNoCommand = (command: string, status: number): string =>
  `'${escapeControls(command)}' ${status === NOT_FOUND ? 'is not to be found' : 'cannot be executed'}`;

/** TKLBAM_HOOK_ERROR where an exception of ours ends the session. */
export const describeBug = (bug: unknown): string =>
  `tklbam-hooks itself failed: ${escapeControls(bug instanceof Error ? bug.message : String(bug))}`;

/** The hooks that `recover` would tell, a line each. */
export const describePending = (record: SessionRecord): string =>
  pending(record)
    .map(({ path }) => `${escapeControls(path)} ${record.operation} error\n`)
    .join('');

/** How the hooks of `post` differ from those of `pre`, a line each; those that went are failures (plan.ts). */
export function describeChanges(before: Plan, after: Plan): string[] {
  const facts = ({ steps }: Plan): Map<string, string> =>
    new Map(steps.map(({ hook }) => [hook.path, JSON.stringify(hook.file)]));
  const [then, now] = [facts(before), facts(after)];
  const tell = (path: string, what: string): string =>
    `tklbam-hooks: '${escapeControls(path)}' ${what} since pre`;
  return [
    ...[...now].flatMap(([path, facts]) => {
      if (!then.has(path)) return [tell(path, 'came, or was switched on,')];
      return then.get(path) === facts ? [] : [tell(path, 'was changed')];
    }),
  ];
}

/** What comes of a failure in `error`. `attempts` counts it, if it counts. */
export function describeNotification(
  { step, outcome }: Result,
  attempts: number,
  isGoingDown: boolean,
): string {
  const [operation] = step.args;
  const hook = whatFailed(step, outcome);
  if (attempts >= MOST_ATTEMPTS)
    return `tklbam-hooks: ${hook}, it is not told again: ${lastResort(operation)}`;
  const count = attempts === 0 ? '' : ` (attempt ${attempts} of ${MOST_ATTEMPTS})`;
  const when = isGoingDown
    ? 'when the machine is up again'
    : "by the next session, at boot, or by 'tklbam-hooks recover'";
  return `tklbam-hooks: ${hook}${count}, ${AGAIN} ${when}`;
}

/** A hook of `error` that was ended from outside, and has another chance. */
export const describeRetry = ({ step, outcome }: Result): string =>
  `tklbam-hooks: ${whatFailed(step, outcome)}, ${AGAIN} at once`;

/** What comes of a failure of a hook that is told of every failure, and is owed none. */
export const describeDeafHook = ({ step, outcome }: Result): string =>
  `tklbam-hooks: ${whatFailed(step, outcome)}, going on`;

const whatFailed = ({ hook, args }: Step, outcome: Outcome): string =>
  `'${escapeControls(hook.path)} ${args.join(' ')}' ${describeOutcome(outcome, undefined)}`;

const AGAIN = 'it is told again';

const lastResort = (operation: Operation): string =>
  `see to what it does by hand, then 'tklbam-hooks recover --forget ${operation}'`;

/** The message for a hook that is owed `error` and cannot be started. */
export function describeUntold(path: string, verdict: Verdict | undefined): string {
  const why =
    verdict === undefined
      ? 'it is not there'
      : `${verdict.kind === 'skip' ? 'it ' : ''}${reason(verdict, undefined) ?? 'it cannot be started'}`;
  return `tklbam-hooks: '${escapeControls(path)}' was started, and cannot be told what went wrong: ${why}; it stays owed`;
}

/** The messages for hooks that failed `error` too often to be told again. */
export const describeExhausted = (record: SessionRecord): string[] =>
  owing(record)
    .filter(({ attempts }) => attempts >= MOST_ATTEMPTS)
    .map(({ path }) => {
      const backup = `the ${record.operation} of ${localTime(record.since)}`;
      return `tklbam-hooks: '${escapeControls(path)}' failed ${MOST_ATTEMPTS} times when it was told that ${backup} had failed: ${lastResort(record.operation)}`;
    });

/** Whose session it is, and since when. */
export const describeGuardian = ({ guardian, since, caller }: SessionRecord): string =>
  `pid ${guardian.pid}, since ${localTime(since)}, called by '${escapeControls(caller.name)}' (pid ${caller.pid})`;

/** How far it has come. */
export const describeProgressOf = ({ state, command }: SessionRecord): string =>
  command === null ? `last state: ${state}` : `while '${escapeStored(command)}' ran`;

/** How a session was cut off, for `TKLBAM_HOOK_ERROR`. */
export function describeCutOff(record: SessionRecord, boot: string | null): string {
  const { guardian } = record;
  const how =
    guardian.boot === boot ? `its guardian (pid ${guardian.pid}) was killed` : 'the machine went down';
  return `was cut off when ${how} (${describeProgressOf(record)})`;
}

export const describeStateFault = (directory: string, code: string): string =>
  `cannot record the session in '${escapeControls(directory)}': ${describeErrno(code)}, no hook was run`;

/** Why there is no session: another one has the machine. */
export const describeHolder = (record: SessionRecord | undefined): string =>
  record === undefined
    ? 'another session is just beginning or ending, no hook was run (try again)'
    : `another session is running: ${describeRunning(record)}; no hook was run`;

export const describeRunning = (record: SessionRecord): string =>
  `the ${record.operation} '${escapeControls(record.name)}', ${describeGuardian(record)}`;

/** As POSIX writes a zone, `CET-1CEST`: Node.js knows the names of zones alone, and takes that for UTC. */
const POSIX_ZONE = /^:?(?:[A-Za-z]{3,}|<[^>]+>)[-+]?\d/;

/** Local time as `date '+%F %T'` prints it. */
export function localTime(iso: string): string {
  const time = new Date(iso);
  if (Number.isNaN(time.getTime())) return escapeControls(iso);
  const two = (value: number): string => String(value).padStart(2, '0');
  const date = [time.getFullYear(), two(time.getMonth() + 1), two(time.getDate())].join('-');
  const zone = POSIX_ZONE.test(process.env.TZ ?? '') ? ' UTC' : '';
  return `${date} ${[time.getHours(), time.getMinutes(), time.getSeconds()].map(two).join(':')}${zone}`;
}

export const operationOf = (each: Unfinished): Operation =>
  'record' in each ? each.record.operation : each.operation;
