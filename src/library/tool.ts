// The system programs that ready hooks have their work done by.
import { type SpawnOptions, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { escapeControls } from '../cli/text.ts';
import { findHelper, findHelperIn, HELPER_ENV } from '../system/which.ts';
import type { Environment } from '../types.ts';

export interface Ended {
  /** Null if it could not be started or was killed. */
  readonly status: number | null;
  /** Empty if it went to a descriptor. */
  readonly stdout: string;
  /** All that it wrote to standard error. */
  readonly stderr: string;
  /** Why it failed, in a line: the last one that it wrote to standard error, or how it ended. */
  readonly reason: string;
}

/** A program and how it is run. Nothing secret may be among its arguments, which everybody can read. */
export interface Tool {
  readonly name: string;
  readonly args?: readonly string[];
  /** The directory that it is in. Default: one of the standard directories. */
  readonly directory?: string;
  /** Who it is to be, by name; without our terminal, which it could type into. Default: we ourselves. */
  readonly user?: string;
  /** It only looks at what may be anything: it becomes nobody, who can read all and write nothing. For root alone; else it is us. */
  readonly isReader?: boolean;
  /** Beyond HELPER_ENV. */
  readonly env?: Environment;
  /** A descriptor, or the text itself. Default: nothing. */
  readonly stdin?: number | string;
  /** A descriptor, so that what passes through is in nobody's memory. Default: it is kept. */
  readonly stdout?: number;
  /** Much passes through its standard streams, in pieces larger than the 4 KiB of the C library. */
  readonly movesMuch?: boolean;
}

export const hasTool = (name: string): boolean => findHelper(name) !== undefined;

export const runTool = (name: string, ...args: readonly string[]): Ended => run({ name, args });

/** Runs a program, and waits for its end. */
export function run(tool: Tool): Ended {
  const command = commandOf(tool);
  if (!('file' in command)) return command;
  const { stdin } = tool;
  const { status, signal, error, stdout, stderr } = spawnSync(command.file, command.args, {
    ...command.options,
    encoding: 'utf8',
    maxBuffer: 64 << 20,
    ...(typeof stdin === 'string' ? { input: stdin } : {}),
  });
  return ended(tool, status, error?.message ?? howEnded(status, signal), stdout, stderr);
}

/** Runs a program that reads no text of ours, and says little, beside what comes next. */
export async function runBeside(tool: Tool & { readonly stdin?: number }): Promise<Ended> {
  const command = commandOf(tool);
  if (!('file' in command)) return command;
  const child = spawn(command.file, command.args, command.options);
  const [stdout, stderr, how] = await Promise.all([
    child.stdout && text(child.stdout),
    child.stderr && text(child.stderr),
    once(child, 'close').then(
      ([status, signal]: (number | string | null)[]) => howEnded(status, signal),
      (error: Error) => error.message,
    ),
  ]);
  return ended(tool, child.exitCode, how, stdout, stderr);
}

const howEnded = (status: unknown, signal: unknown): string =>
  signal === null ? `status ${status}` : `killed by ${signal}`;

function ended(
  { name }: Tool,
  status: number | null,
  how: string,
  stdout: string | null,
  stderr: string | null,
): Ended {
  const said = (stderr ?? '').split('\n').filter(line => line.trim() !== '');
  // Behind a tab psql(1) says what else could be looked at.
  const last = said.findLast(line => !line.startsWith('\t')) ?? said.at(-1);
  return {
    status,
    stdout: stdout ?? '',
    stderr: stderr ?? '',
    reason: escapeControls(last?.trim() ?? `${name}: ${how}`),
  };
}

interface Command {
  readonly file: string;
  readonly args: readonly string[];
  readonly options: SpawnOptions;
}

/** What is to be started for it, by its path; or that it is not there. */
function commandOf({
  name,
  args = [],
  directory,
  user,
  isReader,
  env,
  stdin,
  stdout,
  movesMuch,
}: Tool): Command | Ended {
  const program = directory === undefined ? findHelper(name) : findHelperIn(directory, name);
  const missing = (what: string): Ended => ({
    status: null,
    stdout: '',
    stderr: '',
    reason: `${what} is not installed`,
  });
  if (program === undefined) return missing(name);
  const starters = [
    ...(user !== undefined
      ? ['setsid', '--wait', 'runuser', '-u', user, '--']
      : isReader && process.geteuid?.() === 0
        ? READER
        : []),
    ...(movesMuch ? ['stdbuf', `--input=${64 << 10}`, `--output=${64 << 10}`] : []),
  ];
  const [starter, ...options] = starters;
  const file = starter === undefined ? program : findHelper(starter);
  if (file === undefined) return missing(starter === 'stdbuf' ? 'coreutils' : 'util-linux');
  return {
    file,
    args: starter === undefined ? args : [...options, program, ...args],
    options: {
      cwd: '/',
      env: { ...HELPER_ENV, ...env },
      stdio: [
        typeof stdin === 'number' ? stdin : stdin === undefined ? 'ignore' : 'pipe',
        stdout ?? 'pipe',
        'pipe',
      ],
    },
  };
}

const READER = [
  ...['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', '--no-new-privs'],
  ...['inh-caps', 'ambient-caps', 'bounding-set'].map(set => `--${set}=-all,+dac_read_search`),
];

/** Nothing else happens meanwhile: a hook is a process of its own. */
export function pause(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}
