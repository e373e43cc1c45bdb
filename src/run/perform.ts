// Executes a plan and tells what comes of it, under the rules for signals of whoever asked.
import {
  describeFailure,
  describeInterruption,
  describeProgress,
  describeResult,
  describeRunning,
  describeStart,
  describeWarning,
  type Message,
  messageLine,
} from '../report/messages.ts';
import type { Plan, Report, State } from '../types.ts';
import { execute, type Observer, type Setting } from './execute.ts';
import { restoreOpenFilesLimit } from './launch.ts';
import type { OutputTail } from './output-tail.ts';
import { startProgress } from './progress.ts';
import { cancelOnSignal, type Reaction, type Signals } from './signals.ts';

export interface Stagehands {
  readonly setting: Setting;
  readonly signals: Signals;
  /** What a signal does while hooks of that state run. */
  readonly reaction: (signal: NodeJS.Signals, state: State) => Reaction;
  /** Aborted when the caller is gone, so that `pre` and `inspect` are of no use any more. */
  readonly callerGone?: AbortSignal;
  /** Whether the caller prints the first error itself, since it gets it as an answer. */
  readonly isAnswered?: () => boolean;
  /** Opens what keeps the end of the hooks' standard error, if that was not done yet. */
  readonly openTail?: () => Promise<OutputTail | undefined>;
  readonly verbose: boolean;
  /** Whether a terminal shows which hook runs. Not that of tklbam: it logs what is there. */
  readonly showsProgress?: true;
  readonly tell: (line: string) => void;
  readonly tellError: (line: string) => void;
}

/** Makes the function that runs plans. */
export function performer(hands: Stagehands): (plan: Plan, observer: Observer) => Promise<Report> {
  const { setting, signals, verbose, tell, tellError } = hands;
  return async (plan, observer) => {
    const { state } = plan.event;
    let hasFailed = false;
    const say = (message: Message): void => {
      const isToldByCaller = message.kind === 'error' && !hasFailed && hands.isAnswered?.() === true;
      if (message.kind === 'error') hasFailed = true;
      if (!isToldByCaller) (message.kind === 'error' ? tellError : tell)(messageLine(message));
    };
    for (const warning of plan.warnings) tell(`tklbam-hooks: ${describeWarning(warning)}`);
    let endProgress: (() => void) | undefined;
    const watched: Observer = {
      starts: planned => {
        const step = observer.starts(planned);
        if ('kind' in step) return step;
        if (verbose) tell(describeStart(step.hook, plan.event));
        if (hands.showsProgress)
          endProgress = startProgress(describeRunning(step.hook, plan.event), setting.terminal);
        return step;
      },
      traced: observer.traced,
      ended: result => {
        endProgress?.();
        if (verbose) tell(describeProgress(result));
        const message = describeResult(plan, result);
        if (message !== undefined) say(message);
        observer.ended(result);
      },
    };
    const report = await cancelOnSignal(
      signals,
      signal => hands.reaction(signal, state),
      async (cancellation, cancel) => {
        const stopWaiting = new AbortController();
        // If the caller dies, a running pre or inspect hook is ended; post hooks finish.
        const gone = plan.stopAtFailure ? hands.callerGone : undefined;
        const terminate = (): void => cancel('SIGTERM');
        if (gone?.aborted) terminate();
        else gone?.addEventListener('abort', terminate, { once: true, signal: stopWaiting.signal });
        try {
          const hasSteps = plan.steps.length > 0;
          if (hasSteps) await restoreOpenFilesLimit();
          const tail = hasSteps ? await hands.openTail?.() : undefined;
          return await execute(plan, setting, cancellation, watched, tail);
        } finally {
          endProgress?.();
          stopWaiting.abort();
        }
      },
    );
    for (const failure of plan.failures) say(describeFailure(plan, failure));
    const { interruption, results } = report;
    if (interruption !== undefined && results.at(-1)?.outcome.kind !== 'interrupted') {
      say(describeInterruption(interruption));
    }
    return report;
  };
}
