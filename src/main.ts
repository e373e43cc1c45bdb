// Arguments, environment and signals in; text and exit status out. The only file that touches `process`.
import { closeSync, constants, openSync, readFileSync, statSync, writeSync } from 'node:fs';
import { isatty } from 'node:tty';
import { help } from './cli/help.ts';
import { parse } from './cli/parse.ts';
import { UsageError } from './cli/usage-error.ts';
import { discover } from './hooks/discover.ts';
import { type Judge, judge, judgeSignature } from './hooks/judge.ts';
import { inOrder, plan } from './hooks/plan.ts';
import { commandStatus, EX_TEMPFAIL, exitStatus } from './report/exit-status.ts';
import { checkJson, checkText, dryRun, listJson, listText } from './report/list.ts';
import {
  describeCommand,
  describeDeferral,
  describeFailure,
  describeInterruption,
  describeOwed,
  describeProgress,
  describeResult,
  describeStart,
  describeWarning,
} from './report/messages.ts';
import { type Cancellation, execute, type Progress } from './run/execute.ts';
import { END_ORPHAN } from './run/watchdog.ts';
import type { SessionDeps } from './session/session.ts';
import { readDefaults } from './system/defaults.ts';
import { closeInherited } from './system/descriptors.ts';
import { attempt } from './system/errno.ts';
import type {
  Environment,
  Finding,
  HookSettings,
  Judged,
  Listing,
  Plan,
  RecoverRequest,
  Report,
  Result,
  RunRequest,
  SessionRequest,
  SessionSettings,
  State,
  StatusRequest,
  WrapRequest,
} from './types.ts';

/** From package.json, put in by build/bundle.ts. */
declare const VERSION: string | undefined;

async function main(): Promise<number> {
  if (process.argv[2] === END_ORPHAN) {
    const { endOrphan } = await import('./run/watchdog.ts');
    return endOrphan(readFileSync(0, 'utf8'));
  }
  const defaults = readDefaults();
  const env: Environment = { ...defaults.values, ...environment() };
  const request = parse(process.argv.slice(2), env, currentDirectory());
  if (request.kind !== 'help' && request.kind !== 'version')
    for (const warning of defaults.warnings) tell(`tklbam-hooks: ${warning}`);
  switch (request.kind) {
    case 'help':
      return print(help(request.command));
    case 'version':
      return print(`tklbam-hooks ${typeof VERSION === 'string' ? VERSION : '(source)'}\n`);
    case 'list': {
      const { listings, judged } = await look(request);
      const entries = inOrder(request.event, judged);
      return print(request.json ? listJson(request, listings, entries) : listText(listings, entries));
    }
    case 'check': {
      const findings = await checkHooks(request, request.names, env);
      const isPrinted = write(1, request.json ? checkJson(findings) : checkText(findings));
      return isPrinted && findings.length === 0 ? 0 : 1;
    }
    case 'run':
      return run(request, env);
    case 'wrap':
      return wrap(request, env);
    case 'session':
      return guardian(request, given => ({ ...defaults.values, ...given }));
    case 'recover':
      return recovery(request, env);
    case 'status':
      return status(request);
    case 'enable': {
      const { enable } = await import('./commands/enable.ts');
      return answer(
        await enable(request, names =>
          checkHooks({ sources: request.sources, keyrings: undefined, timeoutMs: undefined }, names, env),
        ),
      );
    }
    case 'disable': {
      const { disable } = await import('./commands/enable.ts');
      return answer(disable(request));
    }
    case 'new': {
      const { newHook } = await import('./commands/new.ts');
      return answer(newHook(request));
    }
    case 'library': {
      const { library } = await import('./commands/library.ts');
      return library(request, env, tell);
    }
    case 'fixclock': {
      const { fixclock } = await import('./library/fixclock/fixclock.ts');
      return answer(fixclock(request.event, env));
    }
  }
}

function answer({ status, out, err }: { status: number; out: string; err: string }): number {
  write(1, out);
  write(2, err);
  return status;
}

async function checkHooks(
  settings: HookSettings,
  names: readonly string[],
  env: Environment,
): Promise<readonly Finding[]> {
  const { listings, judged } = await look(settings);
  const [{ check }, { missingTool }, { libraryProblems }] = await Promise.all([
    import('./hooks/check.ts'),
    import('./library/fixclock/fixclock.ts'),
    import('./library/library.ts'),
  ]);
  return check(listings, judged, names, env, missingTool, await libraryProblems(judged));
}

async function run(request: RunRequest, env: Environment): Promise<number> {
  if (!isDirectory(request.cwd)) {
    throw new UsageError(`--cwd '${request.cwd}' is not a directory`);
  }
  const { listings, judged } = await look(request);
  const session = env.TKLBAM_HOOK_SESSION || `${Date.now().toString(36)}-${process.pid}`;
  const whole = plan(request, listings, judged, env, session);
  if (request.dryRun) write(1, dryRun(whole));

  closeInherited();
  listen();
  const planned = request.dryRun ? { ...whole, steps: [] } : whole;
  for await (const progress of carryOut(planned, request.verbose, isSparedHangup)) {
    if (progress.kind === 'over') return exitStatus(progress.report);
  }
  throw new Error('no report');
}

/** Tells what comes of a plan as it is executed, and ends with the report of that. */
async function* carryOut(
  whole: Plan,
  verbose: boolean,
  isSpared: (signal: NodeJS.Signals, state: State) => boolean,
  end?: AbortSignal,
): AsyncGenerator<Progress | { readonly kind: 'over'; readonly report: Report }> {
  for (const warning of whole.warnings) tell(describeWarning(warning));
  const cancellation = heed(
    signal => isSpared(signal, whole.event.state),
    whole.stopAtFailure ? end : undefined,
  );
  const results: Result[] = [];
  for await (const progress of execute(whole, cancellation)) {
    if (progress.kind === 'starts') {
      if (verbose) tell(describeStart(progress.step.hook, whole.event));
    } else {
      results.push(progress.result);
      if (verbose) tell(describeProgress(progress.result));
      const message = describeResult(whole, progress.result);
      if (message !== undefined) tell(red(message));
    }
    yield progress;
  }
  for (const failure of whole.failures) tell(red(describeFailure(whole, failure)));
  const interruption = cancellation.stop.aborted ? String(cancellation.stop.reason) : undefined;
  if (interruption !== undefined && results.at(-1)?.outcome.kind !== 'interrupted') {
    tell(red(describeInterruption(interruption)));
  }
  onSignal = between;
  yield { kind: 'over', report: { plan: whole, results, interruption } };
}

async function wrap(request: WrapRequest, env: Environment): Promise<number> {
  const [{ openSession }, { command }] = await Promise.all([
    import('./session/session.ts'),
    import('./run/execute.ts'),
  ]);
  closeInherited();
  // Not SIGUSR1: Node.js keeps it blocked when it is not to open a debugger (build/package.ts).
  listen('SIGQUIT', 'SIGUSR2');
  const isSpared = (signal: NodeJS.Signals, state: State): boolean =>
    !ENDING.includes(signal) || state === 'error' || isSparedHangup(signal, state);
  const deps = await sessionDeps(request, isSpared);
  const session = openSession(request, deps, () => undefined);
  try {
    const [name] = request.command;
    const pre = await session.advance('pre', request.cwd, env);
    if (pre.status === EX_TEMPFAIL) tell(describeDeferral(name));
    if (pre.status !== 0) return pre.status;
    if (request.inspect !== undefined) {
      if (!isDirectory(request.inspect)) {
        const error = `--inspect '${request.inspect}' is not a directory, '${name}' was not run`;
        await session.fail(error);
        return 1;
      }
      const inspect = await session.advance('inspect', request.inspect, env);
      if (inspect.status !== 0) return inspect.status;
    }
    const outcome = await command(request.command, request.cwd, environment(), send => {
      onSignal = signal => {
        if (!hasTerminal || !isFromTerminal(signal)) send(signal);
      };
      if (missed !== undefined) onSignal(missed);
      missed = undefined;
    });
    onSignal = between;
    if (outcome.kind === 'succeeded') return (await session.advance('post', request.cwd, env)).status;
    await session.fail(describeCommand(name, outcome));
    return commandStatus(outcome);
  } finally {
    deps.log.close();
  }
}

async function guardian(
  request: SessionRequest,
  withDefaults: (env: Environment) => Environment,
): Promise<number> {
  const [{ openSession }, { openControl, guard }] = await Promise.all([
    import('./session/session.ts'),
    import('./session/control.ts'),
  ]);
  const control = openControl(request.control);
  closeInherited();
  listen();
  const terminated = new AbortController();
  onSignal = between = signal => {
    if (signal === 'SIGTERM') terminated.abort(signal);
  };
  const callers = caller();
  const interruption = (): string | undefined => {
    if (!control.gone.aborted) return undefined;
    return `the caller, '${callers.name}' (pid ${callers.pid}), ${control.gone.reason}`;
  };
  // The caller's Ctrl-C and hang-up are the caller's to act upon. Its end ends what stands before the operation, but not what
  // brings back after it.
  const isSpared = (signal: NodeJS.Signals, state: State): boolean =>
    signal !== 'SIGTERM' || state === 'error';
  const deps = await sessionDeps(request, isSpared, control.gone);
  const session = openSession(request, deps, interruption);
  const status = await guard(control, session, withDefaults, terminated.signal, interruption);
  deps.log.close();
  return status;
}

async function recovery({ statePaths, dryRun }: RecoverRequest, env: Environment): Promise<number> {
  const { recover, unfinished } = await import('./session/session.ts');
  if (dryRun) {
    const cutOff = unfinished(statePaths).filter(({ isRunning }) => !isRunning);
    return print(cutOff.map(({ record }) => (record === undefined ? '' : describeOwed(record))).join(''));
  }
  closeInherited();
  listen();
  const deps = await sessionDeps({ statePaths, verbose: false }, isSparedHangup);
  const status = await recover(statePaths, env, deps);
  deps.log.close();
  return status;
}

async function status({ statePaths, json }: StatusRequest): Promise<number> {
  const [{ unfinished }, { readLog }, { statusJson, statusText }] = await Promise.all([
    import('./session/session.ts'),
    import('./session/log.ts'),
    import('./report/status.ts'),
  ]);
  const [sessions, entries] = [unfinished(statePaths), readLog(statePaths.log)];
  return print(json ? statusJson(sessions, entries) : statusText(sessions, entries));
}

async function sessionDeps(
  { statePaths, verbose }: Pick<SessionSettings, 'statePaths' | 'verbose'>,
  isSpared: (signal: NodeJS.Signals, state: State) => boolean,
  end?: AbortSignal,
): Promise<SessionDeps> {
  const [{ openLog }, { processId }] = await Promise.all([
    import('./session/log.ts'),
    import('./run/process-tree.ts'),
  ]);
  return {
    look,
    carryOut: whole => carryOut(whole, verbose, isSpared, end),
    tell,
    log: openLog(statePaths.log, tell),
    self: processId(process.pid),
    caller: caller(),
  };
}

function caller(): { pid: number; name: string } {
  const pid = process.ppid;
  return { pid, name: attempt(() => readFileSync(`/proc/${pid}/comm`, 'utf8').trimEnd()) ?? 'unknown' };
}

async function look(
  settings: HookSettings,
): Promise<{ listings: readonly Listing[]; judged: readonly Judged[] }> {
  const by: Judge = {
    uid: process.geteuid?.() ?? 0,
    gids: [process.getegid?.() ?? 0, ...(process.getgroups?.() ?? [])],
    arch: process.arch,
  };
  const listings = settings.sources.map(discover);
  const judged = listings
    .flatMap(({ candidates }) => candidates)
    .map((hook): Judged => ({ hook, verdict: judge(hook, by) }));
  const isFromAfar = ({ hook, verdict }: Judged): boolean =>
    verdict.kind === 'run' && hook.source.kind === 'profile';
  if (!judged.some(isFromAfar)) return { listings, judged };

  // Here, not above: few appliances have profile hooks.
  const { verifier } = await import('./hooks/signature.ts');
  const verify = verifier(settings.keyrings, by.uid);
  const checked = judged.map(
    (each): Judged =>
      isFromAfar(each) ? { hook: each.hook, verdict: judgeSignature(verify(each.hook)) } : each,
  );
  return { listings, judged: checked };
}

/** The signals that end a run. */
const ENDING: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP'];

/** From here on, these and the signals that end a run do so by way of `onSignal`. */
function listen(...more: readonly NodeJS.Signals[]): void {
  hasTerminal = hasControllingTerminal();
  for (const signal of [...ENDING, ...more]) process.on(signal, () => onSignal(signal));
}

/** One that came while nobody heeded any. */
let missed: NodeJS.Signals | undefined;
const remember = (signal: NodeJS.Signals): void => {
  missed ??= signal;
};
/** What is done with one that comes while no hook runs. */
let between: (signal: NodeJS.Signals) => void = remember;
let onSignal: (signal: NodeJS.Signals) => void = remember;
let hasTerminal = false;

/** Heeds signals, but for those that are spared, and the end of whom the run is for. */
function heed(isSpared: (signal: NodeJS.Signals) => boolean, end: AbortSignal | undefined): Cancellation {
  const stop = new AbortController();
  const hurry = new AbortController();
  onSignal = signal => {
    if (isSpared(signal)) return;
    if (!stop.signal.aborted) stop.abort(signal);
    else if (signal === 'SIGINT') hurry.abort();
  };
  if (missed !== undefined) onSignal(missed);
  missed = undefined;
  // As a supervisor would end what nobody waits for any more.
  const terminate = (): void => stop.abort('SIGTERM');
  if (end?.aborted) terminate();
  else end?.addEventListener('abort', terminate, { once: true });
  return { stop: stop.signal, hurry: hurry.signal, isFromTerminal, hasTerminal };
}

/** The terminal went away. Before the operation that ends it; after it, what was stopped has to start again. */
const isSparedHangup = (signal: NodeJS.Signals, state: State): boolean =>
  signal === 'SIGHUP' && (state === 'post' || state === 'error') && hasTerminal;

function hasControllingTerminal(): boolean {
  const fd = attempt(() => openSync('/dev/tty', constants.O_RDWR | constants.O_NONBLOCK));
  if (fd !== undefined) closeSync(fd);
  return fd !== undefined;
}

/** Whether a terminal sent the signal to all of our process group: one that has it in the foreground, or is gone. */
function isFromTerminal(signal: NodeJS.Signals): boolean {
  // proc_pid_stat(5): state, ppid, pgrp, session, tty_nr, tpgid; behind the name in parentheses.
  const text = attempt(() => readFileSync('/proc/self/stat', 'latin1')) ?? '';
  const [, , group, session, , foreground] = text.slice(text.lastIndexOf(')') + 2).split(' ');
  if (signal === 'SIGINT') return group === foreground;
  // The leader of a session gets it alone, and the others when the leader ends.
  return signal === 'SIGHUP' && foreground === '-1' && Number(session) !== process.pid;
}

const isDirectory = (path: string): boolean => attempt(() => statSync(path).isDirectory()) === true;

function environment(): Environment {
  const entries = Object.entries(process.env).filter(
    (entry): entry is [string, string] => entry[1] !== undefined,
  );
  return Object.fromEntries(entries);
}

function currentDirectory(): string | undefined {
  return attempt(() => process.cwd());
}

function print(text: string): number {
  return write(1, text) ? 0 : 1;
}

const tell = (line: string): boolean => write(2, `${line}\n`);

function red(text: string): string {
  // tklbam has a terminal of its own that it logs, under cron too, where no TERM is set.
  const { NO_COLOR, TERM } = process.env;
  return isatty(2) && !NO_COLOR && TERM && TERM !== 'dumb' ? `\x1b[31m${text}\x1b[39m` : text;
}

/**
 * Whether all was written. Not through `process.stderr`: loading streams is slow, and one whose reader went away would end
 * the run, with services still stopped.
 */
function write(fd: 1 | 2, text: string): boolean {
  let rest = Buffer.from(text);
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(fd, rest));
    } catch (error) {
      // A pipe that another process made non-blocking, and that is full.
      if (!(error instanceof Error && 'code' in error && error.code === 'EAGAIN')) return false;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
    }
  }
  return true;
}

main().then(
  status => {
    process.exitCode = status;
  },
  (error: unknown) => {
    if (error instanceof UsageError) {
      tell(`tklbam-hooks: ${error.message}\nTry 'tklbam-hooks --help'.`);
      process.exitCode = 2;
    } else {
      tell(`tklbam-hooks: this is a bug: ${error instanceof Error ? error.stack : String(error)}`);
      process.exitCode = 1;
    }
  },
);
