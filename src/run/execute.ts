// Plan to report: the only file that starts hooks and COMMAND, and imports execa. Prints nothing.
import { basename } from 'node:path';
import { processTag } from '../hooks/plan.ts';
import { isDead } from '../system/descriptors.ts';
import { elapsedMs } from '../system/machine.ts';
import { commOf } from '../system/proc.ts';
import { isTerminal } from '../system/tty.ts';
import type { Defect, Environment, Outcome, Plan, Report, Result, State, Step, Trace } from '../types.ts';
import { cgroupsReady } from './cgroup-home.ts';
import { startDefect, startIn, startingIn } from './directory.ts';
import { type Launch, launchWords } from './launch.ts';
import type { OutputTail } from './output-tail.ts';
import { end, track } from './process-tree.ts';
import { carryRawWords, readRawWords } from './raw-words.ts';
import { type Cancellation, ENDING } from './signals.ts';
import type { Terminal } from './terminal.ts';
import { watchdog } from './watchdog.ts';

/** Is told of each hook as it starts and ends. */
export interface Observer {
  /** The step to start, which may know more by now than its plan; or why it must not be started. */
  readonly starts: (step: Step) => Step | Defect;
  /** Just before and just after its start: how whoever has to end it, if we are killed, finds it. */
  readonly traced: (trace: Trace) => void;
  readonly ended: (result: Result) => void;
}

/** How hooks are started, beyond what their plan says. */
export interface Setting extends Launch {
  readonly terminal: Terminal;
  /** `apart`: standard input and output belong to a command. Hooks read /dev/null, but for a terminal, and write to standard error. */
  readonly streams: 'inherited' | 'apart';
}

export async function execute(
  plan: Plan,
  setting: Setting,
  cancellation: Cancellation,
  observer: Observer,
  tail?: OutputTail,
): Promise<Report> {
  const dog = watchdog();
  const results: Result[] = [];
  if (plan.steps.length > 0) await cgroupsReady();
  for (const planned of plan.steps) {
    if (cancellation.stop.aborted) break;
    const step = observer.starts(planned);
    let result: Result;
    if ('kind' in step) {
      result = { step: planned, outcome: { kind: 'not-started', defect: step }, durationMs: 0, output: '' };
    } else {
      const traced = (trace: Trace): void => {
        if (trace.leader !== null && step.timeoutMs !== undefined)
          dog.starts({ trace, graceMs: step.graceMs }, step.timeoutMs);
        observer.traced(trace);
      };
      result = await run(step, setting, cancellation, traced, tail);
      dog.ended();
    }
    results.push(result);
    observer.ended(result);
    if (plan.stopAtFailure && result.outcome.kind !== 'succeeded' && planned.failure === 'stop') break;
  }
  const { stop } = cancellation;
  return { plan, results, interruption: stop.aborted ? stop.reason : undefined };
}

async function run(
  step: Step,
  setting: Setting,
  { stop, hurry }: Cancellation,
  traced: Observer['traced'],
  tail: OutputTail | undefined,
): Promise<Result> {
  // Imported here, not above: a run without hooks need not load it.
  const { execa } = await import('execa');
  const { terminal } = setting;
  const [, state] = step.args;
  // A process group and session of its own, so that a time limit ends what the hook started too. Not on a terminal before the
  // operation: there the hook may ask through /dev/tty, and Ctrl-C and Ctrl-Z are for the whole foreground group. After the
  // operation it is more important that a terminal which goes away does not take the hook with it.
  const hasOwnGroup = !terminal.isThere || state === 'post' || state === 'error';
  const startedMs = elapsedMs();
  const hook = [step.hook.path, ...step.args] as const;
  // Without /proc, the bytes of what is not UTF-8 are not known.
  const { words, env } = carryRawWords(hook, step.env, readRawWords) ?? { words: hook, env: step.env };
  const [file = '', ...args] = [...launchWords(setting, step.cwd), ...words];
  const options = {
    env,
    extendEnv: false,
    stdio: streams(setting, state, tail?.fd),
    buffer: false,
    reject: false,
    detached: hasOwnGroup,
    // Disable execa's kill-on-exit: a hook is ended by `end`, or by the watchdog.
    cleanup: false,
  } as const;
  const { timeoutMs, graceMs } = step;
  const { child, tree, release } = track(
    () => startingIn(step.cwd, cwd => execa(file, args, { ...options, cwd })),
    { hasOwnGroup, tag: processTag(step) },
    traced,
  );
  // A child is in our process group until it has one of its own, and what a terminal that goes away sends to that kills it before it has
  // become the hook: libuv gives it the default dispositions.
  const hasBegun = !hasOwnGroup || !terminal.isThere || isAnother(child.pid, file);
  const stopped = Promise.withResolvers<Outcome>();
  let isStopping = false;
  const stopWith = (reason: Outcome, signal: NodeJS.Signals | undefined): void => {
    if (tree === undefined || isStopping) return;
    isStopping = true;
    end(tree, signal, graceMs, hurry).then(() => stopped.resolve(reason), stopped.reject);
  };
  const timer =
    timeoutMs === undefined
      ? undefined
      : setTimeout(() => stopWith({ kind: 'timed-out', afterMs: timeoutMs }, 'SIGTERM'), timeoutMs);
  const interrupt = (): void => {
    const signal: NodeJS.Signals = stop.reason;
    stopWith({ kind: 'interrupted', signal }, !hasOwnGroup && terminal.sent(signal) ? undefined : signal);
  };
  stop.addEventListener('abort', interrupt);
  if (stop.aborted) interrupt();
  const ended = child.then(({ exitCode, signal, code }) => outcome(exitCode, signal, code, step.cwd));
  const first = await Promise.race([ended, stopped.promise]);
  // Killed by somebody else: what the hook had started is work that was cut off, and nobody waits for it.
  if (first.kind === 'killed') stopWith(first, 'SIGTERM');
  clearTimeout(timer);
  stop.removeEventListener('abort', interrupt);
  // The first process may have ended before its descendants; or not at all, if it cannot be killed: then it is not waited for.
  const last = isStopping ? await stopped.promise : first;
  child.nodeChildProcess.unref();
  release();
  if (last.kind === 'killed' && !hasBegun && !stop.aborted)
    return run(step, setting, { stop, hurry }, traced, tail);
  const durationMs = elapsedMs() - startedMs;
  return { step, outcome: last, durationMs, output: tail?.take() ?? '' };
}

/** Whether a child has become the program of that file, and is not a copy of us any more. One of our name counts as if it had. */
function isAnother(pid: number | undefined, file: string): boolean {
  const ours = commOf('self');
  return pid === undefined || commOf(pid) !== ours || basename(file).slice(0, ours.length) === ours;
}

type Output = 'ignore' | 1 | 2;

/** The standard streams of a hook. In `error`, a dead output is replaced: a service must start again though nobody reads the output. */
function streams(
  { streams }: Setting,
  state: State,
  stderr: number | undefined,
): ['inherit' | 'ignore', Output, Output] {
  const output = (fd: 1 | 2): Output => (state === 'error' && isDead(fd) ? 'ignore' : fd);
  // execa takes every descriptor, and has types for the standard ones alone.
  const error = (stderr ?? output(2)) as Output;
  if (streams === 'inherited') return ['inherit', output(1), error];
  return [isTerminal(0) ? 'inherit' : 'ignore', output(2), error];
}

export interface CommandSetting extends Launch {
  /** Undefined for no limit. */
  readonly timeoutMs: number | undefined;
  readonly graceMs: number;
  readonly traced: Observer['traced'];
  /** Is given what passes a signal on: one that ends us to all that the command started, another to its first process. */
  readonly passOn: (send: (signal: NodeJS.Signals) => void) => void;
}

/**
 * A program that is not a hook, in our process group and with all that we have. Unless it succeeds, nothing that it started is left when
 * this resolves: services that start again would be read from.
 */
export async function command(
  words: readonly [string, ...string[]],
  cwd: string,
  env: Environment,
  setting: CommandSetting,
): Promise<Outcome> {
  const { execa } = await import('execa');
  const options = {
    cwd: startIn(cwd),
    env,
    extendEnv: false,
    stdio: 'inherit',
    buffer: false,
    reject: false,
    cleanup: false,
  } as const;
  const [file = '', ...args] = [...launchWords(setting, cwd), ...words];
  const kin = { hasOwnGroup: false, tag: [] };
  const { child, tree, release } = track(() => execa(file, args, options), kin, setting.traced);
  const hurry = new AbortController();
  let ending: Promise<void> | undefined;
  const endWith = (signal: NodeJS.Signals): Promise<void> =>
    tree === undefined ? Promise.resolve() : end(tree, signal, setting.graceMs, hurry.signal);
  setting.passOn(signal => {
    if (!ENDING.includes(signal)) child.kill(signal);
    else if (ending === undefined) ending = endWith(signal);
    else if (signal === 'SIGINT') hurry.abort();
  });
  // Not waited for if it cannot be killed.
  const late = Promise.withResolvers<Outcome>();
  const { timeoutMs } = setting;
  let isLate = false;
  const expire = (afterMs: number): void => {
    isLate = true;
    ending ??= endWith('SIGTERM');
    ending.then(() => late.resolve({ kind: 'timed-out', afterMs }), late.reject);
  };
  const timer = timeoutMs === undefined ? undefined : setTimeout(expire, timeoutMs, timeoutMs);
  const first = child.then(({ exitCode, signal, code }) =>
    isLate ? late.promise : outcome(exitCode, signal, code, cwd),
  );
  const ended = await Promise.race([first, late.promise]);
  clearTimeout(timer);
  if (ended.kind !== 'succeeded') ending ??= endWith('SIGTERM');
  await ending;
  release();
  return ended;
}

function outcome(
  status: number | undefined,
  signal: string | undefined,
  code: string | undefined,
  directory: string,
): Outcome {
  if (status === 0) return { kind: 'succeeded' };
  if (status !== undefined) return { kind: 'failed', status };
  if (signal !== undefined) return { kind: 'killed', signal };
  return { kind: 'not-started', defect: startDefect(code ?? 'unknown error', directory) };
}
