// Signals to this process: who acts on one, and what becomes of one that comes while nobody can.
// Node.js gives every signal its default disposition before any of our code runs, and hooks inherit that (signal(7)). So whether the
// caller ignored a signal cannot be seen; terminal.ts tells from the standard streams whether it ignored a hang-up.

/**
 * What a handler makes of a signal. `deferred`: it cannot act on it now; when its work has ended, the handler below it is asked, or the
 * next that comes. `ignored`: nothing comes of the signal.
 */
export type Reaction = 'handled' | 'deferred' | 'ignored';

export type Handler = (signal: NodeJS.Signals) => Reaction;

export interface Signals {
  /**
   * Asks `handler` about each signal until `work` ends, beginning with those that nobody has acted on. Handlers stack: only the last
   * one is asked.
   */
  readonly during: <T>(handler: Handler, work: () => Promise<T>) => Promise<T>;
}

/** The signals that end a run. */
export const ENDING: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP'];

/** Where signals come from; `process`, but for tests. */
export interface SignalSource {
  readonly on: (signal: NodeJS.Signals, listener: () => void) => unknown;
}

/** From here on, these signals no longer have their default effect. */
export function catchSignals(source: SignalSource, names: readonly NodeJS.Signals[]): Signals {
  const handlers: Handler[] = [];
  // All of them, not the last: a USR2 must not hide a TERM.
  const waiting = new Set<NodeJS.Signals>();
  const deliver = (signal: NodeJS.Signals): void => {
    const reaction = handlers.at(-1)?.(signal) ?? 'deferred';
    if (reaction === 'deferred') waiting.add(signal);
    else waiting.delete(signal);
  };
  const deliverWaiting = (): void => [...waiting].forEach(deliver);
  for (const name of names) source.on(name, () => deliver(name));
  return {
    during: async (handler, work) => {
      handlers.push(handler);
      try {
        deliverWaiting();
        return await work();
      } finally {
        handlers.pop();
        deliverWaiting();
      }
    },
  };
}

/** What ends a run of hooks before its end. */
export interface Cancellation {
  /** Aborted, with the name of the signal as its reason, when the run is to end. */
  readonly stop: AbortSignal;
  /** Aborted when it is to end without any grace. */
  readonly hurry: AbortSignal;
}

/** Runs `work` with a cancellation by each signal that `reaction` calls handled; a second SIGINT cuts the grace short. */
export function cancelOnSignal<T>(
  signals: Signals,
  reaction: Handler,
  work: (cancellation: Cancellation, cancel: (signal: NodeJS.Signals) => void) => Promise<T>,
): Promise<T> {
  const stop = new AbortController();
  const hurry = new AbortController();
  const cancel = (signal: NodeJS.Signals): void => {
    if (!stop.signal.aborted) stop.abort(signal);
    else if (signal === 'SIGINT') hurry.abort();
  };
  const handler: Handler = signal => {
    const answer = reaction(signal);
    if (answer === 'handled') cancel(signal);
    return answer;
  };
  return signals.during(handler, () => work({ stop: stop.signal, hurry: hurry.signal }, cancel));
}
