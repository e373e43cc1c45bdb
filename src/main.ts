// Arguments, environment and signals in; text and exit status out. The only file that touches `process`.
import { statSync, writeSync } from 'node:fs';
import { isatty } from 'node:tty';
import { help, parse, UsageError } from './cli.ts';
import { readDefaults } from './defaults.ts';
import { discover } from './discover.ts';
import { execute } from './execute.ts';
import { judge } from './judge.ts';
import { inOrder, plan } from './plan.ts';
import {
  describeFailure,
  describeProgress,
  describeResult,
  describeStart,
  dryRun,
  exitStatus,
  listJson,
  listText,
} from './report.ts';
import type { Environment, HookSource, Judged, Listing, Result, RunRequest } from './types.ts';

/** From package.json, put in by build/bundle.ts. */
declare const VERSION: string | undefined;

async function main(): Promise<number> {
  const defaults = readDefaults();
  const env: Environment = { ...defaults.values, ...environment() };
  const request = parse(process.argv.slice(2), env, currentDirectory());
  if (request.kind !== 'help' && request.kind !== 'version')
    for (const warning of defaults.warnings) warn(warning);
  switch (request.kind) {
    case 'help':
      return print(help(request.command));
    case 'version':
      return print(`tklbam-hooks ${typeof VERSION === 'string' ? VERSION : '(source)'}\n`);
    case 'list': {
      const { listings, judged } = look(request.sources);
      const entries = inOrder(request.event, judged);
      return print(request.json ? listJson(request.event, listings, entries) : listText(listings, entries));
    }
    case 'run':
      return run(request, env);
    case 'fixclock': {
      const { fixclock } = await import('./fixclock.ts');
      const { status, out, err } = await fixclock(request.event, env);
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
  const { listings, judged } = look(request.sources);
  const session = env.TKLBAM_HOOK_SESSION || `${Date.now().toString(36)}-${process.pid}`;
  const whole = plan(request, listings, judged, env, session);
  if (request.dryRun) write(1, dryRun(whole));

  const results: Result[] = [];
  for await (const progress of execute(request.dryRun ? { ...whole, steps: [] } : whole)) {
    if (progress.kind === 'starts') {
      if (request.verbose) write(2, `${describeStart(progress.step.hook, whole.event)}\n`);
      continue;
    }
    results.push(progress.result);
    if (request.verbose) write(2, `${describeProgress(progress.result)}\n`);
    const message = describeResult(whole, progress.result);
    if (message !== undefined) write(2, `${red(message)}\n`);
  }
  for (const failure of whole.failures) write(2, `${red(describeFailure(whole, failure))}\n`);
  return exitStatus({ plan: whole, results });
}

function look(sources: readonly HookSource[]): { listings: readonly Listing[]; judged: readonly Judged[] } {
  const by = {
    uid: process.geteuid?.() ?? 0,
    gids: [process.getegid?.() ?? 0, ...(process.getgroups?.() ?? [])],
    arch: process.arch,
  };
  const listings = sources.map(discover);
  const judged = listings.flatMap(({ candidates }) =>
    candidates.map(hook => ({ hook, verdict: judge(hook, by) })),
  );
  return { listings, judged };
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

const warn = (text: string): boolean => write(2, `tklbam-hooks: ${text}\n`);

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
      write(2, `tklbam-hooks: ${error.message}\nTry 'tklbam-hooks --help'.\n`);
      process.exitCode = 2;
    } else {
      write(2, `tklbam-hooks: this is a bug: ${error instanceof Error ? error.stack : String(error)}\n`);
      process.exitCode = 1;
    }
  },
);
