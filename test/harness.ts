// What the process tests share: hooks directories that can be trusted, and the program in each of its forms.
import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';

const root = new URL('..', import.meta.url).pathname;

/** A form of the program: the words that start it. */
export interface Program {
  readonly name: string;
  readonly command: readonly [string, ...string[]];
}

/**
 * The source and the built executable; or, where the package is tested, what TKLBAM_HOOKS_TEST_PROGRAM says (words with
 * blanks between them).
 */
export const programs: readonly Program[] =
  process.env.TKLBAM_HOOKS_TEST_PROGRAM === undefined
    ? [
        { name: 'source', command: [process.execPath, join(root, 'src/main.ts')] },
        { name: 'executable', command: [join(root, 'dist/tklbam-hooks')] },
      ]
    : [{ name: 'package', command: words(process.env.TKLBAM_HOOKS_TEST_PROGRAM) }];

function words(text: string): [string, ...string[]] {
  const [first = '', ...rest] = text.split(' ');
  return [first, ...rest];
}

/** Where scratch directories and caches are: below no directory that others can write, as /tmp is. */
export const cacheDirectory = join(
  process.env.XDG_CACHE_HOME || join(homedir(), '.cache'),
  'tklbam-hooks-test',
);

/** A directory of the test's own, gone after it. */
export function scratch(t: TestContext): string {
  mkdirSync(cacheDirectory, { recursive: true, mode: 0o755 });
  const directory = mkdtempSync(join(cacheDirectory, 'run-'));
  chmodSync(directory, 0o755);
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
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
  copyFileSync(join(root, 'test/hooks', hook), path);
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

/** The environment of every run: nothing of the caller's, and no registry but an absent one. */
export const plainEnvironment = {
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
    timeout: 60_000,
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

for (const { command } of programs) {
  if (!existsSync(command[0])) throw new Error(`${command[0]} is missing: run 'npm run build' first`);
}
