// Arguments, environment and signals in; text and exit status out. The only file that touches `process`.
import { closeSync, constants, openSync, readdirSync, readFileSync, statSync, writeSync } from 'node:fs';
import { isatty } from 'node:tty';
import { help, parse, UsageError } from './cli.ts';
import { readDefaults } from './defaults.ts';
import { discover } from './discover.ts';
import { execute, type Surroundings } from './execute.ts';
import { type Judge, judge, judgeSignature } from './judge.ts';
import { inOrder, plan } from './plan.ts';
import {
  checkJson,
  checkText,
  describeFailure,
  describeInterruption,
  describeProgress,
  describeResult,
  describeStart,
  describeWarning,
  dryRun,
  exitStatus,
  listJson,
  listText,
} from './report.ts';
import type { Environment, HookEvent, Judged, Listing, Result, RunRequest, Settings } from './types.ts';

/** From package.json, put in by build/bundle.ts. */
declare const VERSION: string | undefined;

async function main(): Promise<number> {
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
      const { listings, judged } = await look(request, env);
      const entries = inOrder(request.event, judged);
      return print(request.json ? listJson(request, listings, entries) : listText(listings, entries));
    }
    case 'check': {
      const { listings, judged } = await look(request, env);
      const [{ check }, { missingTool }] = await Promise.all([import('./check.ts'), import('./fixclock.ts')]);
      const findings = check(listings, judged, request.names, env, missingTool);
      const isPrinted = write(1, request.json ? checkJson(findings) : checkText(findings));
      return isPrinted && findings.length === 0 ? 0 : 1;
    }
    case 'run':
      return run(request, env);
    case 'fixclock': {
      const { fixclock } = await import('./fixclock.ts');
      const { status, out, err } = fixclock(request.event, env);
      write(1, out);
      write(2, err);
      return status;
    }
  }
}

async function run(request: RunRequest, env: Environment): Promise<number> {
  if (attempt(() => statSync(request.cwd).isDirectory()) !== true) {
    throw new UsageError(`--cwd '${request.cwd}' is not a directory`);
  }
  const { listings, judged } = await look(request, env);
  const session = env.TKLBAM_HOOK_SESSION || `${Date.now().toString(36)}-${process.pid}`;
  const whole = plan(request, listings, judged, env, session);
  for (const warning of whole.warnings) tell(describeWarning(warning));
  if (request.dryRun) write(1, dryRun(whole));

  closeInheritedDescriptors();
  const surroundings = listen(request.event);
  const results: Result[] = [];
  for await (const progress of execute(request.dryRun ? { ...whole, steps: [] } : whole, surroundings)) {
    if (progress.kind === 'starts') {
      if (request.verbose) tell(describeStart(progress.step.hook, whole.event));
      continue;
    }
    results.push(progress.result);
    if (request.verbose) tell(describeProgress(progress.result));
    const message = describeResult(whole, progress.result);
    if (message !== undefined) tell(red(message));
  }
  for (const failure of whole.failures) tell(red(describeFailure(whole, failure)));
  const interruption = surroundings.stop.aborted ? String(surroundings.stop.reason) : undefined;
  if (interruption !== undefined && results.at(-1)?.outcome.kind !== 'interrupted') {
    tell(red(describeInterruption(interruption)));
  }
  return exitStatus({ plan: whole, results, interruption });
}

async function look(
  settings: Settings,
  env: Environment,
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
  const { verifier } = await import('./signature.ts');
  const verify = verifier(settings.keyrings, env, by.uid);
  const checked = judged.map(
    (each): Judged =>
      isFromAfar(each) ? { hook: each.hook, verdict: judgeSignature(verify(each.hook)) } : each,
  );
  return { listings, judged: checked };
}

/**
 * What the caller left open must not reach hooks: tklbam's own lock and log among it. Node.js sees to descriptors below 16 when it
 * starts, and to those above as far as they follow each other; its own are all close-on-exec.
 */
function closeInheritedDescriptors(): void {
  for (const name of attempt(() => readdirSync('/proc/self/fd')) ?? []) {
    if (Number(name) < 16) continue;
    const text = attempt(() => readFileSync(`/proc/self/fdinfo/${name}`, 'latin1'));
    const [, flags] = /^flags:\s*(\d+)$/m.exec(text ?? '') ?? [];
    if (flags !== undefined && (Number.parseInt(flags, 8) & O_CLOEXEC) === 0)
      attempt(() => closeSync(Number(name)));
  }
}

/** Of open(2), as Linux has it on all its architectures that Node.js runs on. Node.js does not name it. */
const O_CLOEXEC = 0o2000000;

/** From here on, the signals that end a run do so by way of `execute`. */
function listen({ state }: HookEvent): Surroundings {
  const stop = new AbortController();
  const hurry = new AbortController();
  const hasTerminal = hasControllingTerminal();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      // The terminal went away. Before the operation that ends it; after it, what was stopped has to start again.
      if (signal === 'SIGHUP' && hasTerminal && (state === 'post' || state === 'error')) return;
      if (!stop.signal.aborted) stop.abort(signal);
      else if (signal === 'SIGINT') hurry.abort();
    });
  }
  return { stop: stop.signal, hurry: hurry.signal, isFromTerminal, hasTerminal };
}

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

function environment(): Environment {
  const entries = Object.entries(process.env).filter(
    (entry): entry is [string, string] => entry[1] !== undefined,
  );
  return Object.fromEntries(entries);
}

function currentDirectory(): string | undefined {
  return attempt(() => process.cwd());
}

function attempt<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch {
    return undefined;
  }
}

function print(text: string): number {
  return write(1, text) ? 0 : 1;
}

const tell = (line: string): boolean => write(2, `${line}\n`);

const red = (text: string): string =>
  isatty(2) && !process.env.NO_COLOR && process.env.TERM !== 'dumb' ? `\x1b[31m${text}\x1b[39m` : text;

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
