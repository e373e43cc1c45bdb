// Plan to results, one as each hook ends. The only file that starts hooks and imports execa. Prints nothing.
import { processTag } from '../hooks/plan.ts';
import { isDead } from '../system/descriptors.ts';
import type { Environment, Outcome, Plan, Result, State, Step } from '../types.ts';
import { end, track } from './process-tree.ts';
import { type Watchdog, watchdog } from './watchdog.ts';

export type Progress =
  | { readonly kind: 'starts'; readonly step: Step }
  | { readonly kind: 'ended'; readonly result: Result };

export interface Cancellation {
  /** Aborted, with the name of the signal as its reason, when the run is to end. */
  readonly stop: AbortSignal;
  /** Aborted when it is to end without any grace. */
  readonly hurry: AbortSignal;
  /** Whether the terminal itself sent the signal, and so to the hook too, if that is in our process group. */
  readonly isFromTerminal: (signal: NodeJS.Signals) => boolean;
  /** Whether we have a controlling terminal (tty(4)). */
  readonly hasTerminal: boolean;
}

export async function* execute(plan: Plan, cancellation: Cancellation): AsyncGenerator<Progress> {
  const dog = plan.steps.some(({ timeoutMs }) => timeoutMs !== undefined) ? watchdog() : undefined;
  for (const step of plan.steps) {
    if (cancellation.stop.aborted) return;
    yield { kind: 'starts', step };
    const result = await run(step, cancellation, dog);
    yield { kind: 'ended', result };
    if (plan.stopAtFailure && result.outcome.kind !== 'succeeded' && step.failure === 'stop') return;
  }
}

async function run(
  step: Step,
  { stop, hurry, isFromTerminal, hasTerminal }: Cancellation,
  dog: Watchdog | undefined,
): Promise<Result> {
  // Here, not above: a run without hooks need not load it.
  const { execa } = await import('execa');
  const [, state] = step.args;
  // A process group and session of its own, so that a time limit ends what the hook started too. Not on a terminal before the
  // operation: there the hook may ask through /dev/tty, and Ctrl-C and Ctrl-Z are for the whole foreground group. After the
  // operation it is more important that a terminal which goes away does not take the hook with it.
  const hasOwnGroup = !hasTerminal || state === 'post' || state === 'error';
  const startedMs = performance.now();
  const options = {
    cwd: step.cwd,
    env: step.env,
    extendEnv: false,
    stdio: ['inherit', ...outputs(state)],
    buffer: false,
    reject: false,
    detached: hasOwnGroup,
    // Its end is ours to arrange, not that of an exit handler.
    cleanup: false,
  } as const;
  const { timeoutMs, graceMs } = step;
  const { child, tree, release } = track(
    () => execa(step.hook.path, step.args, options),
    { hasOwnGroup, tag: processTag(step) },
    trace => {
      if (timeoutMs !== undefined) dog?.starts(trace, { timeoutMs, graceMs });
    },
  );
  const ending = new AbortController();
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
    stopWith({ kind: 'interrupted', signal }, !hasOwnGroup && isFromTerminal(signal) ? undefined : signal);
  };
  stop.addEventListener('abort', interrupt, { signal: ending.signal });
  if (stop.aborted) interrupt();
  const ended = child.then(({ exitCode, signal, code }) => outcome(exitCode, signal, code));
  const first = await Promise.race([ended, stopped.promise]);
  // By somebody else, who has left what it had started: work that was cut off, and that nobody waits for.
  if (first.kind === 'killed') stopWith(first, 'SIGTERM');
  clearTimeout(timer);
  ending.abort();
  // Its process may have ended before the rest; or not at all, if it cannot be killed, and then nobody waits for it any more.
  const last = isStopping ? await stopped.promise : first;
  child.nodeChildProcess.unref();
  release();
  dog?.ended();
  return { step, outcome: last, durationMs: performance.now() - startedMs };
}

/** Of a hook. What has to start again what was stopped must not fail because nobody is there any more to read what it says. */
function outputs(state: State): ['inherit' | 'ignore', 'inherit' | 'ignore'] {
  const output = (fd: 1 | 2): 'inherit' | 'ignore' =>
    state === 'error' && isDead(fd) ? 'ignore' : 'inherit';
  return [output(1), output(2)];
}

/** A program that is not a hook, in our process group and with all that we have. */
export async function command(
  [file, ...args]: readonly [string, ...string[]],
  cwd: string,
  env: Environment,
  passOn: (send: (signal: NodeJS.Signals) => void) => void,
): Promise<Outcome> {
  const { execa } = await import('execa');
  const options = {
    cwd,
    env,
    extendEnv: false,
    stdio: 'inherit',
    buffer: false,
    reject: false,
    cleanup: false,
  } as const;
  const child = execa(file, args, options);
  passOn(signal => child.kill(signal));
  const { exitCode, signal, code } = await child;
  return outcome(exitCode, signal, code);
}

function outcome(status: number | undefined, signal: string | undefined, code: string | undefined): Outcome {
  if (status === 0) return { kind: 'succeeded' };
  if (status !== undefined) return { kind: 'failed', status };
  if (signal !== undefined) return { kind: 'killed', signal };
  return { kind: 'not-started', defect: { kind: 'system', code: code ?? 'unknown error' } };
}
