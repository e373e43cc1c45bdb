// The guardian's half of the control socket: lines of JSON in, a line of JSON out for each. tklbam-hooks-protocol(7) has it for callers.
import { fstatSync, statSync } from 'node:fs';
import { connect, Socket } from 'node:net';
import { escapeControls } from '../cli/text.ts';
import { UsageError } from '../cli/usage-error.ts';
import { resultEntry } from '../report/messages.ts';
import { toBytes } from '../system/bytes.ts';
import { isInherited } from '../system/descriptors.ts';
import { attempt } from '../system/errno.ts';
import { isObject, toJson } from '../system/json.ts';
import type { Environment } from '../types.ts';
import type { Answer, Session, Stage } from './session.ts';

/** Bytes that may wait to be read: more than execve(2) takes as arguments and environment, escaped as JSON. */
const MOST_BYTES = 16 << 20;
/** In characters. */
const LONGEST_ERROR = 500;
/** How long an answer may wait to be read, before the guardian ends without. */
const PATIENCE_MS = 5000;

export interface Control {
  /** What the next line asks for; undefined when the caller is gone, even if there are lines left. */
  readonly next: () => Promise<Demand | string | undefined>;
  /** Aborted when the caller can ask for nothing more; its reason says why. */
  readonly gone: AbortSignal;
  readonly answer: (answer: Answer) => void;
  /** Resolves when all answers are with the caller, or nobody takes them. */
  readonly close: () => Promise<void>;
}

/** What an option names. Throws UsageError for a descriptor that is no connected stream socket. */
export function openSocket(option: string, fd: number): Socket {
  if (isInherited(fd)) {
    throw new UsageError(
      `${option} ${fd} would be inherited by hooks: pass a descriptor below 16, or set close-on-exec`,
    );
  }
  const socket = attempt(() => (fstatSync(fd).isSocket() ? new Socket({ fd }) : undefined));
  if (socket === undefined) throw new UsageError(`${option} ${fd} is not a connected stream socket`);
  return socket;
}

/** Of a descriptor, or of the name of an abstract socket. Throws UsageError for a descriptor that is no connected stream socket. */
export function openControl(address: number | string): Control {
  const socket =
    typeof address === 'number' ? openSocket('--control', address) : connect({ path: `\0${address}` });
  const gone = new AbortController();
  const lines: { readonly demand: Demand | string; readonly bytes: number }[] = [];
  let parts: Buffer[] = [];
  let waiting = 0;
  let wake: (() => void) | undefined;
  const end = (reason: string): void => {
    if (!gone.signal.aborted) gone.abort(reason);
    wake?.();
  };
  socket.on('data', (data: Buffer) => {
    let rest = data;
    for (let at = rest.indexOf('\n'); at >= 0; at = rest.indexOf('\n')) {
      const line = Buffer.concat([...parts, rest.subarray(0, at)]);
      parts = [];
      const demand = parseDemand(line.toString());
      if (typeof demand === 'object' && 'failed' in demand) end(`failed: ${demand.failed}`);
      else lines.push({ demand, bytes: line.length + 1 });
      rest = rest.subarray(at + 1);
    }
    parts.push(rest);
    waiting += data.length;
    if (waiting > MOST_BYTES) {
      socket.pause();
      end(`sent more than ${MOST_BYTES >> 20} MiB without waiting for an answer`);
    } else wake?.();
  });
  for (const event of ['end', 'close', 'error']) socket.on(event, () => end('ended before post'));

  return {
    gone: gone.signal,
    next: async () => {
      while (lines.length === 0 && !gone.signal.aborted) {
        await new Promise<void>(resolve => {
          wake = resolve;
        });
      }
      if (gone.signal.aborted) return undefined;
      const line = lines.shift();
      waiting -= line?.bytes ?? 0;
      return line?.demand;
    },
    answer: ({ status, error, results, view }) => {
      const entries = results.map(each => ({ name: each.step.hook.name, ...resultEntry(each) }));
      socket.write(
        `${toJson({ status, error: error ?? null, results: entries, ...(view !== undefined && { view }) })}\n`,
      );
    },
    close: async () => {
      const patience = Promise.withResolvers<void>();
      const timer = setTimeout(patience.resolve, PATIENCE_MS);
      socket.on('close', patience.resolve);
      if (socket.destroyed) patience.resolve();
      socket.end(patience.resolve);
      await patience.promise;
      clearTimeout(timer);
      socket.destroy();
    },
  };
}

export interface Demand {
  readonly stage: Stage;
  readonly cwd: string;
  readonly env: Environment;
  /** Whether the caller will enter a mount namespace that the answer names, and leave it before `post`. */
  readonly view: boolean;
}

/** The operation has failed, and the caller asks for nothing more. */
interface Failed {
  /** What it says of that, a line. */
  readonly failed: string;
}

/** Whether a path or an environment can hold it: no NUL, and no surrogates but those that are bytes (system/bytes.ts). */
const isPossible = (text: string): boolean => !/\0|(?![\udc80-\udcff])\p{Cs}/u.test(text);

/** What a line asks for; or, as text, what is wrong with it. */
export function parseDemand(line: string): Demand | Failed | string {
  const found: unknown = attempt(() => JSON.parse(line));
  if (!isObject(found)) return 'the request is not a JSON object';
  const { state, cwd, env, error, view = false } = found;
  if (state === 'error') {
    return typeof error === 'string'
      ? { failed: escapeControls(error).slice(0, LONGEST_ERROR) }
      : '"error" is not a string';
  }
  if (state !== 'pre' && state !== 'inspect' && state !== 'post') {
    return `"state" is one of "pre", "inspect", "post", "error", not ${typeof state === 'string' ? JSON.stringify(state) : state === undefined ? 'absent' : `of type ${typeof state}`}`;
  }
  if (typeof cwd !== 'string' || !cwd.startsWith('/') || !isPossible(cwd))
    return '"cwd" is not an absolute path';
  if (typeof view !== 'boolean') return '"view" is not true or false';
  if (!isObject(env)) return '"env" is not an object of names and values';
  const environment: Record<string, string> = {};
  for (const [name, value] of Object.entries(env)) {
    if (typeof value !== 'string') return `the value of ${JSON.stringify(name)} in "env" is not a string`;
    if (name === '' || name.includes('=') || !isPossible(name) || !isPossible(value))
      return `${JSON.stringify(name)} in "env" cannot be in an environment`;
    environment[name] = value;
  }
  return { stage: state, cwd, env: environment, view };
}

/**
 * Serves the caller until the session is over, and sends `error` if the caller ends before. `withDefaults` is called for each request, and
 * completes its environment; `terminated` is aborted, with the name of the signal, when the guardian is to end. Resolves to its exit
 * status.
 */
export async function guard(
  control: Control,
  session: Session,
  withDefaults: (env: Environment) => Environment,
  terminated: AbortSignal,
  interruption: () => string | undefined,
): Promise<number> {
  let status = 0;
  const end = new Promise<undefined>(resolve => {
    terminated.addEventListener('abort', () => resolve(undefined));
  });
  try {
    while (!session.isOver()) {
      const demand = terminated.aborted ? undefined : await Promise.race([control.next(), end]);
      if (demand === undefined) {
        const error = interruption() ?? 'the guardian of the session was ended';
        if (control.gone.aborted) status = session.canFollow('pre') ? 0 : 1;
        else status = 128 + 15;
        await session.fail(error);
        control.answer({ status, error, results: [] });
        break;
      }
      const fault = typeof demand === 'string' ? demand : findFault(demand, session);
      if (typeof demand === 'string' || fault !== undefined) {
        control.answer({ status: 2, error: fault, results: [] });
        continue;
      }
      const sight = demand.view ? 'below-root' : 'none';
      const answer = await session.advance(demand.stage, demand.cwd, withDefaults(demand.env), sight);
      status = answer.status;
      control.answer(answer);
    }
  } catch (bug) {
    // The session is over, and its hooks were told. The caller must not wait for ever.
    control.answer({ status: 1, error: 'tklbam-hooks itself failed, see its message', results: [] });
    throw bug;
  } finally {
    await control.close();
  }
  return status;
}

function findFault({ stage, cwd }: Demand, session: Session): string | undefined {
  if (!session.canFollow(stage))
    return `"${stage}" cannot be the next state: it is pre, then inspect if at all, then post, each once`;
  if (attempt(() => statSync(toBytes(cwd)).isDirectory()) !== true)
    return `the directory ${JSON.stringify(cwd)} does not exist`;
  return undefined;
}
