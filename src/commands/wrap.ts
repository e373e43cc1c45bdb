// wrap: the hooks of an operation around any other program.

import { escapeControls } from '../cli/text.ts';
import { commandStatus, EX_TEMPFAIL } from '../report/exit-status.ts';
import { outcomeEntry } from '../report/messages.ts';
import { describeCommand, describeDeferral, describeNoCommand } from '../report/session-messages.ts';
import { command } from '../run/execute.ts';
import { restoreOpenFilesLimit } from '../run/launch.ts';
import { type Carried, carryRawWords, readRawWords } from '../run/raw-words.ts';
import { ENDING, type Handler, type Signals } from '../run/signals.ts';
import type { Terminal } from '../run/terminal.ts';
import { openSession, type Session } from '../session/session.ts';
import { closeInherited } from '../system/descriptors.ts';
import { DEFAULT_GRACE_MS, gracePeriod } from '../system/duration.ts';
import { isDirectory } from '../system/errno.ts';
import { elapsedMs } from '../system/machine.ts';
import { findCommand, searchPath } from '../system/which.ts';
import type { Environment, Outcome, WrapRequest } from '../types.ts';
import type { Context, Ending } from './context.ts';
import { sessionDeps } from './session-deps.ts';
import { hookSetting, ignoredHangup, isSparedHangup } from './setting.ts';

/**
 * Signals that would end us and leave the command without anybody to tell the hooks: passed on to it, which decides. Not SIGUSR1:
 * Node.js keeps that blocked when it is not to open a debugger (build/package.ts).
 */
const PASSED_ON: readonly NodeJS.Signals[] = [
  ...(['SIGQUIT', 'SIGUSR2', 'SIGALRM', 'SIGVTALRM', 'SIGIO', 'SIGPWR', 'SIGSTKFLT', 'SIGXCPU'] as const),
];

export async function wrap(request: WrapRequest, context: Context): Promise<Ending> {
  if (request.dryRun) return (await import('./wrap-dry-run.ts')).dryRunWrap(request, context);
  const { tell } = context;
  const env: Environment = {
    ...context.env,
    TKLBAM_HOOK_INSPECT: request.inspect === undefined ? 'no' : 'yes',
  };
  const [name, ...args] = request.command;
  closeInherited();
  context.leaveDirectory();
  const { signals, terminal } = context.listen(PASSED_ON);

  let received: NodeJS.Signals | undefined;
  const between: Handler = signal => {
    if (!ENDING.includes(signal) || isSparedHangup(signal, 'pre', terminal)) return 'ignored';
    received ??= signal;
    return 'handled';
  };
  const deps = sessionDeps(
    request,
    {
      setting: { ...hookSetting(terminal), streams: 'apart' },
      showsProgress: true,
      signals,
      reaction: (signal, state) => {
        if (isSparedHangup(signal, state, terminal)) return 'ignored';
        return state === 'error' && ENDING.includes(signal) ? 'deferred' : between(signal);
      },
    },
    context,
    { interruption: () => received && `interrupted by signal ${received}` },
  );
  const session = openSession(request, deps);
  const end = (status: number): Ending => (status === 0 ? 0 : (received ?? status));
  const turnAway = async (status: number, reason: string): Promise<Ending> => {
    const error = `${reason}, no hook was run`;
    tell(`tklbam-hooks: ${error}`);
    await session.turnAway(error, env);
    return end(status);
  };
  try {
    return await signals.during(between, async () => {
      const file = findCommand(name, request.cwd, searchPath(env.PATH));
      if (typeof file === 'number') {
        const where = name.includes('/') ? '' : ` in PATH (${escapeControls(searchPath(env.PATH))})`;
        return turnAway(file, `${describeNoCommand(name, file)}${where}`);
      }
      const carried = carryRawWords([file, ...args], context.callerEnv, readRawWords);
      if (carried === undefined)
        return turnAway(
          2,
          'an argument of COMMAND is not valid UTF-8, and without /proc it cannot be passed on',
        );
      const pre = await session.advance('pre', request.cwd, env, 'any');
      if (pre.status === EX_TEMPFAIL && pre.results.length > 0) tell(describeDeferral(name));
      if (pre.status !== 0) return end(pre.status);
      if (request.inspect !== undefined) {
        if (!isDirectory(request.inspect)) {
          await session.fail(
            `--inspect '${escapeControls(request.inspect)}' is not a directory, '${escapeControls(name)}' was not run`,
          );
          return end(1);
        }
        const inspect = await session.advance('inspect', request.inspect, env);
        if (inspect.status !== 0) return end(inspect.status);
      }
      session.runs(escapeControls(name));
      const began = elapsedMs();
      let passedOn: NodeJS.Signals | undefined;
      const outcome = await runCommand(
        carried,
        request,
        context,
        signals,
        terminal,
        session.traced,
        pre.view,
        signal => {
          passedOn ??= signal;
        },
      );
      session.traced(undefined);
      const status = commandStatus(outcome);
      const more = { TKLBAM_HOOK_STATUS: String(status) };
      const isWarning = outcome.kind === 'failed' && request.warnStatuses.includes(status);
      const warning = isWarning ? `${describeCommand(name, outcome)}, a warning (--warn-status)` : undefined;
      session.ran(outcomeEntry(name, outcome, elapsedMs() - began), warning);
      if (warning !== undefined) tell(`tklbam-hooks: ${warning}`);
      if (status === 0 || isWarning) {
        return end((await session.advance('post', request.cwd, { ...env, ...more })).status);
      }
      await session.fail(describeCommand(name, outcome), more);
      // A command that ends well all the same has done its work.
      received ??= passedOn;
      return end(status);
    });
  } finally {
    await deps.close();
  }
}

/** Runs the command. A signal that ends us ends the command first. */
function runCommand(
  { words, env }: Carried,
  { cwd, commandTimeoutMs }: WrapRequest,
  context: Context,
  signals: Signals,
  terminal: Terminal,
  traced: Session['traced'],
  view: string | undefined,
  note: (signal: NodeJS.Signals) => void,
): Promise<Outcome> {
  // Signals that come before there is a process to send them to.
  const early: NodeJS.Signals[] = [];
  let send: ((signal: NodeJS.Signals) => void) | undefined;
  return signals.during(
    signal => {
      if (isSparedHangup(signal, 'pre', terminal)) return 'ignored';
      if (ENDING.includes(signal)) note(signal);
      if (send === undefined) early.push(signal);
      // A signal of the terminal reaches the command without us.
      else if (!terminal.isThere || !terminal.sent(signal)) send(signal);
      return 'handled';
    },
    async () => {
      // Not done yet where no hook was run.
      await restoreOpenFilesLimit();
      return command(words, cwd, env, {
        ignoredSignals: ignoredHangup(terminal),
        diesWithUs: true,
        view,
        timeoutMs: commandTimeoutMs,
        graceMs: gracePeriod(context.env) ?? DEFAULT_GRACE_MS,
        traced,
        passOn: sender => {
          send = sender;
          early.forEach(sender);
        },
      });
    },
  );
}
