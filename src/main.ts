// Arguments and environment in; text, exit status or signal out.
import { readFileSync, writeSync } from 'node:fs';
import { constants } from 'node:os';
import { COMMANDS } from './cli/grammar.ts';
import { help } from './cli/help.ts';
import { parse } from './cli/parse.ts';
import { escapeControls } from './cli/text.ts';
import { UsageError } from './cli/usage-error.ts';
import type { Answer, Context, Ending } from './commands/context.ts';
import { prepareCgroups } from './run/cgroup-home.ts';
import { AHEAD, END_ORPHAN, MAKE_VIEW } from './run/errands.ts';
import { catchSignals, ENDING } from './run/signals.ts';
import { hasEscapes, lookForTerminal } from './run/terminal.ts';
import { DEFAULTS_FILE, readDefaults } from './system/defaults.ts';
import { attempt, describeErrno, describeSystemError, errnoOf } from './system/errno.ts';
import { screen } from './system/tty.ts';
import type { Environment, Request } from './types.ts';

/** The version of package.json, put in by build/bundle.ts. */
declare const VERSION: string | undefined;

const version = typeof VERSION === 'string' ? VERSION : '(source)';

/** Commands that do not act upon settings, and so go on where those are refused. */
const READS_NO_SETTINGS: readonly Request['kind'][] = [
  'help',
  'version',
  'status',
  'history',
  'new',
  'enable',
  'disable',
];

async function main(): Promise<Ending> {
  if (process.argv[2] === END_ORPHAN) {
    const { endOrphan } = await import('./run/watchdog.ts');
    return endOrphan(readFileSync(0, 'utf8'));
  }
  if (process.argv[2] === MAKE_VIEW) return (await import('./run/view-maker.ts')).viewMaker();
  if (process.argv[2] === 'session' && process.argv[3] === AHEAD) {
    const { becomeWanted } = await import('./session/ahead.ts');
    await import('./commands/session.ts');
    if (!(await becomeWanted(process.argv[4] ?? ''))) return 0;
  }
  const defaults = readDefaults();
  const callerEnv = environment();
  const env: Environment = { ...defaults.values, ...callerEnv };
  const argv = process.argv.slice(2);
  const context = makeContext(env, defaults.values, callerEnv);
  let request: Request;
  try {
    request = parse(
      argv,
      env,
      attempt(() => process.cwd()),
    );
  } catch (error) {
    if (error instanceof UsageError) await turnAway(argv, error.message, context);
    throw error;
  }
  if (request.kind !== 'help' && request.kind !== 'version')
    for (const warning of defaults.warnings) tell(`tklbam-hooks: ${warning}`);
  if (defaults.refusal !== undefined && !READS_NO_SETTINGS.includes(request.kind)) {
    const { describePathRefusal } = await import('./report/verdicts.ts');
    const { reason, remedy } = describePathRefusal(defaults.refusal, DEFAULTS_FILE);
    const error = `the settings ${DEFAULTS_FILE} are refused: ${reason} (${remedy})`;
    tell(red(`HookError: ${error}`));
    if (request.kind !== 'list') {
      await turnAway(argv, error, context);
      return 3;
    }
  }
  return dispatch(request, context);
}

async function dispatch(request: Request, context: Context): Promise<Ending> {
  // Before what the command needs is loaded.
  if ((request.kind === 'run' || request.kind === 'wrap') && !request.dryRun) prepareCgroups();
  switch (request.kind) {
    case 'help':
      return context.print(help(request.command));
    case 'version':
      return context.print(`tklbam-hooks ${context.version}\n`);
    case 'list':
      return (await import('./commands/list.ts')).list(request, context);
    case 'check':
      return (await import('./commands/check.ts')).check(request, context);
    case 'run':
      return (await import('./commands/run.ts')).run(request, context);
    case 'wrap':
      return (await import('./commands/wrap.ts')).wrap(request, context);
    case 'session':
      return (await import('./commands/session.ts')).session(request, context);
    case 'recover':
      return (await import('./commands/recover.ts')).recover(request, context);
    case 'status':
      return (await import('./commands/status.ts')).status(request, context);
    case 'history':
      return (await import('./commands/history.ts')).history(request, context);
    case 'enable':
      return answer(await (await import('./commands/enable.ts')).enable(request, context));
    case 'disable':
      return answer((await import('./commands/enable.ts')).disable(request));
    case 'new':
      return answer((await import('./commands/new.ts')).newHook(request));
    case 'library':
      return (await import('./commands/library.ts')).library(request, context);
    case 'fixclock':
      return answer((await import('./commands/fixclock.ts')).fixclock(request, context));
  }
}

function answer({ status, out, err }: Answer): number {
  const isPrinted = print(out);
  write(2, err);
  return status || (isPrinted ? 0 : 1);
}

function makeContext(env: Environment, defaults: Environment, callerEnv: Environment): Context {
  const { pid, ppid } = process;
  return {
    env,
    defaults,
    callerEnv,
    by: {
      uid: process.geteuid?.() ?? 0,
      gids: [process.getegid?.() ?? 0, ...(process.getgroups?.() ?? [])],
      arch: process.arch,
    },
    version,
    pid,
    parent: {
      pid: ppid,
      name: attempt(() => readFileSync(`/proc/${ppid}/comm`, 'utf8').trimEnd()) ?? 'unknown',
    },
    print: text => (print(text) ? 0 : 1),
    write: print,
    tell,
    passOn: data => {
      write(2, data);
    },
    tellError: line => tell(red(line)),
    listen: (more = []) => ({
      signals: catchSignals(process, [...ENDING, ...more]),
      terminal: lookForTerminal(),
    }),
    leaveDirectory: () => process.chdir('/'),
    screen,
  };
}

async function turnAway(argv: readonly string[], error: string, context: Context): Promise<void> {
  const [command, operation] = argv;
  if ((command !== 'wrap' && command !== 'session') || (operation !== 'backup' && operation !== 'restore'))
    return;
  const { turnedAway } = await import('./commands/turned-away.ts');
  await turnedAway(operation, argv, error, context);
}

function environment(): Environment {
  const entries = Object.entries(process.env).filter(
    (entry): entry is [string, string] => entry[1] !== undefined,
  );
  return Object.fromEntries(entries);
}

/** Prints text; whether all of it was written. Why not is told, unless the reader went away. */
function print(text: string): boolean {
  const error = write(1, text);
  if (error !== undefined && error !== 'EPIPE')
    tell(`tklbam-hooks: cannot write to standard output: ${describeErrno(error)}`);
  return error === undefined;
}

function tell(line: string): void {
  write(2, `${line}\n`);
}

function red(text: string): string {
  return !process.env.NO_COLOR && hasEscapes(2) ? `\x1b[31m${text}\x1b[39m` : text;
}

/**
 * Writes all of it, or returns the errno name that it failed with. Not through `process.stderr`: loading streams is slow, and one whose
 * reader went away would end the run, with services still stopped.
 */
function write(fd: 1 | 2, text: string | Buffer): string | undefined {
  let rest = typeof text === 'string' ? Buffer.from(text) : text;
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(fd, rest));
    } catch (error) {
      // A pipe that another process made non-blocking, and that is full.
      const code = errnoOf(error);
      if (code !== 'EAGAIN') return code;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
    }
  }
  return undefined;
}

/** Ends the process, whatever is still open: the loop of a signal handler or a socket must not keep it. */
function finish(ending: Ending): void {
  if (typeof ending === 'number') process.exit(ending);
  process.removeAllListeners(ending);
  process.kill(process.pid, ending);
  // Still here: as process 1 of a container, which no signal of its own ends (pid_namespaces(7)).
  process.exit(128 + constants.signals[ending]);
}

/** The help to read after wrong usage. */
const helpFor = (word = ''): string =>
  Object.hasOwn(COMMANDS, word) ? `tklbam-hooks help ${word}` : 'tklbam-hooks --help';

main().then(finish, (error: unknown) => {
  const fault = describeSystemError(error);
  if (error instanceof UsageError) tell(`tklbam-hooks: ${error.message}\nTry '${helpFor(process.argv[2])}'.`);
  else if (fault !== undefined) tell(`tklbam-hooks: ${escapeControls(fault)}`);
  else
    tell(
      `tklbam-hooks: this is a bug of version ${version}, to be reported with this: ${error instanceof Error ? error.stack : String(error)}`,
    );
  finish(error instanceof UsageError ? 2 : 1);
});
