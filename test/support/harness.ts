// What the process tests share: hooks directories that can be trusted, and the program in each of its forms.
import assert from 'node:assert/strict';
import { type ChildProcess, type SpawnSyncReturns, spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, type TestContext } from 'node:test';
import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import { bundle, executable, node } from './built.ts';
import { repository } from './repository.ts';
import { scratch, scratchDirectories } from './scratch.ts';

export { cacheDirectory, scratch } from './scratch.ts';
export { settled } from './settled.ts';

/** A form of the program: the words that start it. */
export interface Program {
  readonly name: string;
  readonly command: readonly [string, ...string[]];
}

/**
 * The bundle, run by the Node.js that is in the executable, and the executable; where coverage is measured, the source; where the
 * package is tested, what TKLBAM_HOOKS_TEST_PROGRAM says (words with blanks between them).
 */
export const programs: readonly Program[] = forms();

function forms(): readonly Program[] {
  const { TKLBAM_HOOKS_TEST_PROGRAM, NODE_V8_COVERAGE } = process.env;
  if (TKLBAM_HOOKS_TEST_PROGRAM !== undefined)
    return [{ name: 'package', command: words(TKLBAM_HOOKS_TEST_PROGRAM) }];
  if (NODE_V8_COVERAGE !== undefined) {
    const preload = join(repository, 'test/support/covered.cjs');
    return [{ name: 'source', command: [node, '--require', preload, join(repository, 'src/main.ts')] }];
  }
  return [
    { name: 'bundle', command: [node, bundle()] },
    { name: 'executable', command: [executable()] },
  ];
}

function words(text: string): [string, ...string[]] {
  const [first = '', ...rest] = text.split(' ');
  return [first, ...rest];
}

/** A hooks directory in a scratch directory. */
export function hooksDirectory(t: TestContext): string {
  const directory = join(scratch(t), 'hooks.d');
  mkdirSync(directory);
  chmodSync(directory, 0o755);
  return directory;
}

/** Puts a program of test/hooks into a directory. */
export function install(directory: string, hook: string, name: string = hook): string {
  const path = join(directory, name);
  copyFileSync(join(repository, 'test/hooks', hook), path);
  chmodSync(path, 0o755);
  return path;
}

/** Puts a file with this content into a directory. */
export function place(
  directory: string,
  name: string | Buffer,
  content: string | Uint8Array,
  mode = 0o755,
): void {
  const path = Buffer.concat([Buffer.from(`${directory}/`), Buffer.from(name)]);
  writeFileSync(path, content);
  chmodSync(path, mode);
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly input?: string;
}

/** What all that a test file starts bears in its environment. */
const RUN = `${process.pid}.${Date.now()}`;

/** The environment of every run: nothing of the caller's, and no registry but an absent one. */
export const plainEnvironment = {
  TEST_RUN: RUN,
  HOME: '/',
  LC_ALL: 'C.UTF-8',
  PATH: '/usr/bin:/bin',
  TKLBAM_REGISTRY: '/nonexistent',
} as const;

export function run(
  program: Program,
  args: readonly string[],
  options: RunOptions = {},
): SpawnSyncReturns<string> {
  const [file, ...prefix] = program.command;
  return spawnSync(file, [...prefix, ...args], {
    encoding: 'utf8',
    input: options.input ?? '',
    cwd: options.cwd ?? '/',
    env: { ...plainEnvironment, ...options.env },
    timeout: PATIENCE_MS,
    maxBuffer: 64 << 20,
  });
}

/** Exit status, stdout and stderr, to be compared all three. */
export function ending({
  status,
  stdout,
  stderr,
}: SpawnSyncReturns<string>): [number | null, string, string] {
  return [status, stdout, stderr];
}

export const isRoot = process.getuid?.() === 0;

/** Waits for what is to happen, however busy the machine is. */
export async function until(what: string, isTrue: () => boolean): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (!isTrue()) {
    assert.ok(performance.now() < deadline, `in ${PATIENCE_MS / 1000} s, it never came about that ${what}`);
    await sleep(10);
  }
}

/** Longer than anything takes on the busiest machine: only a failing test waits for it. */
export const PATIENCE_MS = 180_000;

/** A run that goes on while the test does something to it. */
export interface Running {
  readonly child: ChildProcess;
  /** All that was written to stdout so far. */
  readonly stdout: () => string;
  /** Resolves when stdout or stderr holds the text. */
  readonly says: (text: string) => Promise<void>;
  /** Exit status, or the signal that ended it, and stderr. Does not wait for those who hold its output open. */
  readonly ended: Promise<[number | string | null, string]>;
  /** The processes that descend from it, whatever became of their parents and sessions. */
  readonly left: () => readonly number[];
}

/** Every process that it starts bears a mark in its environment, and is killed after the test. */
export function start(
  t: TestContext,
  command: readonly [string, ...string[]],
  env: Readonly<Record<string, string>> = {},
): Running {
  const mark = `TEST_MARK=${Date.now()}.${Math.random()}`;
  const [file, ...args] = command;
  const child = spawn(file, args, {
    cwd: '/',
    env: { ...plainEnvironment, ...env, TEST_MARK: mark.slice('TEST_MARK='.length) },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (data: Buffer) => {
    stdout += data;
  });
  child.stderr.on('data', (data: Buffer) => {
    stderr += data;
  });
  const left = (): number[] => marked(mark).filter(pid => pid !== child.pid);
  t.after(() => {
    for (const pid of marked(mark)) killIfThere(pid);
    child.stdout.destroy();
    child.stderr.destroy();
  });
  return {
    child,
    stdout: () => stdout,
    says: async text => {
      const hasEnded = (): boolean => child.exitCode !== null || child.signalCode !== null;
      await until(`'${text}' is said`, () => `${stdout}${stderr}`.includes(text) || hasEnded());
      // What it wrote last may not have been read yet.
      await setImmediate();
      if (!`${stdout}${stderr}`.includes(text))
        throw new Error(`ended without saying '${text}': ${stdout}${stderr}`);
    },
    ended: new Promise(resolve => {
      child.on('exit', (status, signal) => {
        setImmediate().then(() => resolve([status ?? signal, stderr]));
      });
    }),
    left,
  };
}

function marked(mark: string): number[] {
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .map(Number)
    .filter(pid => {
      try {
        return startOf(`/proc/${pid}/environ`).split('\0').includes(mark);
      } catch {
        return false;
      }
    });
}

/** Not the whole: a process of somebody else's may have an environment that no string can hold. */
export function startOf(path: string): string {
  const descriptor = openSync(path, 'r');
  try {
    const buffer = Buffer.alloc(1 << 20);
    return buffer.toString('latin1', 0, readSync(descriptor, buffer));
  } finally {
    closeSync(descriptor);
  }
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended by itself.
  }
}

// No test leaves a process, a file or a mount behind. The benchmark is no test.
if (process.env.NODE_TEST_CONTEXT !== undefined) after(assertNothingIsLeft);

async function assertNothingIsLeft(): Promise<void> {
  // What was killed is there until the kernel has taken it down.
  await until('no process is left', () => marked(`TEST_RUN=${RUN}`).length === 0);
  assert.deepEqual(scratchDirectories.filter(existsSync), [], 'directories are left');
  const mounts = existsSync('/proc/self/mountinfo') ? readFileSync('/proc/self/mountinfo', 'utf8') : '';
  assert.deepEqual(
    mounts.split('\n').filter(line => scratchDirectories.some(directory => line.includes(directory))),
    [],
    'mounts are left',
  );
}
