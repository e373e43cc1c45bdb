// `npm run bench [-- ROUNDS]`: time and peak memory beside those of rivals, as medians over rounds in which each has its turn.
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { executable } from './support/built.ts';
import { cacheDirectory, place, plainEnvironment } from './support/harness.ts';
import { repository } from './support/repository.ts';

const hookCounts = [0, 1, 10, 100] as const;
/** Memory hardly varies. */
const memoryRounds = 5;

const rounds = Number(process.argv[2] ?? 30);
if (!Number.isInteger(rounds) || rounds < 1) throw new Error('usage: npm run bench [-- ROUNDS]');

// What TKLBAM itself does for a directory of hooks.
const pythonRunner = `
import os, subprocess, sys
directory, arguments = sys.argv[1], sys.argv[2:]
for name in os.listdir(directory):
    path = os.path.join(directory, name)
    if os.access(path, os.X_OK) and not path.endswith('.sig'):
        subprocess.run([path] + arguments, check=True)
`;

// What tklbam does for a backup, with or without packaging/hooks.py, which it imports.
const backup = `
import json, os, socket, subprocess, sys, types
directory, scratch, program, shim = sys.argv[1:]
if program:
    sys.dont_write_bytecode = True
    sys.path.insert(0, shim)
    sys.modules['registry'] = types.ModuleType('registry')
    sys.modules['registry'].registry = types.SimpleNamespace(profile=None)
    os.environ.update(
        TKLBAM_HOOKS=directory, TKLBAM_HOOKS_STATE=scratch + '/state', TKLBAM_HOOKS_LOG=scratch + '/log'
    )
    import hooks
    hooks.PROGRAM = program
    hooks.backup.pre()
    hooks.backup.inspect(scratch)
    hooks.backup.post()
`;
const backupWith = (directory: string, program: string): readonly string[] => [
  ...['/usr/bin/python3', '-c', backup, directory, scratch, program, join(repository, 'packaging')],
];

/** A rival, or one more way to call the executable: a row of the table. */
interface Contender {
  readonly name: string;
  /** Words of the command, for a directory of hooks. */
  readonly command: (directory: string) => readonly string[];
  /** Whether it runs the hooks at all: how many there are makes no difference to one that does not. */
  readonly runsHooks: boolean;
}
const tool: Contender = {
  name: 'tklbam-hooks run',
  command: directory => [executable(), 'run', 'backup', 'pre', '--hooks', directory],
  runsHooks: true,
};
/** All but the hooks themselves: they are found, judged and planned. */
const dryRun: Contender = {
  name: '  with --dry-run',
  command: directory => ['sh', '-c', 'exec "$@" >/dev/null', 'sh', ...tool.command(directory), '--dry-run'],
  runsHooks: true,
};
const runParts: Contender = {
  name: 'run-parts',
  command: directory => ['run-parts', '--arg=backup', '--arg=pre', directory],
  runsHooks: true,
};
const python: Contender = {
  name: 'Python 3 runner',
  // Debian's own, whatever comes first in PATH.
  command: directory => ['/usr/bin/python3', '-c', pythonRunner, directory, 'backup', 'pre'],
  runsHooks: true,
};
const bareNode: Contender = {
  name: 'node -e 0',
  command: () => [process.execPath, '-e', '0'],
  runsHooks: false,
};
/** A whole session, by way of packaging/hooks.py: each hook in pre, inspect and post. */
const session: Contender = {
  name: 'backup, hooks.py',
  command: directory => backupWith(directory, executable()),
  runsHooks: true,
};
const bareBackup: Contender = {
  name: '  without hooks.py',
  command: directory => backupWith(directory, ''),
  runsHooks: false,
};
const contenders: readonly Contender[] = [tool, dryRun, runParts, python, session, bareBackup, bareNode];

const scratch = makeScratch();
try {
  const directories = new Map(hookCounts.map(count => [count, hooksDirectory(count)]));
  const trials = contenders.flatMap(({ name, command, runsHooks }) =>
    hookCounts
      .filter(count => runsHooks || count === 0)
      .map(count => ({ key: `${name} ${count}`, command: command(directories.get(count) ?? '') })),
  );
  for (const { command } of trials) milliseconds(command);
  const time = medians(trials, rounds, milliseconds);
  const memory = medians(trials, memoryRounds, peakMebibytes);
  print(time, memory);
} finally {
  rmSync(scratch, { recursive: true });
}

function makeScratch(): string {
  mkdirSync(cacheDirectory, { recursive: true, mode: 0o755 });
  const directory = mkdtempSync(join(cacheDirectory, 'bench-'));
  chmodSync(directory, 0o755);
  return directory;
}

function hooksDirectory(count: number): string {
  const directory = join(scratch, String(count));
  mkdirSync(directory);
  chmodSync(directory, 0o755);
  for (let i = 1; i <= count; i++) place(directory, `hook${i}`, '#!/bin/sh\nexit 0\n');
  return directory;
}

/** From fork to exit. By bash, because a fork of this process would itself take a millisecond. */
function milliseconds(command: readonly string[]): number {
  const script = `start=$EPOCHREALTIME; "$@" || exit; end=$EPOCHREALTIME; echo $((\${end/./} - \${start/./})) >&2`;
  return measured('bash', ['-c', script, 'bash', ...command]) / 1000;
}

/** By GNU time, because a child counts the memory that its parent had at the fork, and that of GNU time is small. */
function peakMebibytes(command: readonly string[]): number {
  return measured('/usr/bin/time', ['--format=%M', ...command]) / 1024;
}

/** The number that a measuring tool prints after the command it runs, which must succeed and print nothing. */
function measured(measure: string, args: readonly string[]): number {
  const env = { ...plainEnvironment, PATH: '/usr/bin:/bin' };
  const { error, status, stdout, stderr } = spawnSync(measure, args, { encoding: 'utf8', env, cwd: scratch });
  if (error !== undefined)
    throw new Error(`cannot start ${measure}: run 'build/setup test'`, { cause: error });
  if (status !== 0 || stdout !== '' || !/^[0-9.]+\n$/.test(stderr)) {
    throw new Error(`${measure} ${args.join(' ')}: status ${status}\n${stdout}${stderr}`);
  }
  return Number(stderr);
}

function medians(
  trials: readonly { readonly key: string; readonly command: readonly string[] }[],
  times: number,
  measure: (command: readonly string[]) => number,
): ReadonlyMap<string, number> {
  const found = new Map<string, number[]>(trials.map(({ key }) => [key, []]));
  for (let round = 0; round < times; round++) {
    for (const { key, command } of trials) found.get(key)?.push(measure(command));
  }
  return new Map([...found].map(([key, values]) => [key, median(values)]));
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2;
}

function print(time: ReadonlyMap<string, number>, memory: ReadonlyMap<string, number>): void {
  const at = (values: ReadonlyMap<string, number>, { name }: Contender, count: number): number =>
    values.get(`${name} ${count}`) ?? Number.NaN;
  const eachFurther = (contender: Contender): number =>
    (at(time, contender, 100) - at(time, contender, 1)) / 99;

  console.log(
    `node: ${relative(repository, process.execPath)} ${process.version}, medians of ${rounds} rounds (memory: ${memoryRounds})\n`,
  );
  const row = (name: string, cells: readonly string[]): string =>
    name.padEnd(18) + cells.map(cell => cell.padStart(8)).join('');
  const number = (value: number, digits: number): string =>
    Number.isNaN(value) ? '' : value.toFixed(digits);
  console.log(row('', ['time, ms', '', '', '', '', 'MiB']));
  console.log(row('hooks', [...hookCounts.map(String), 'further', '0', '1', '100']));
  for (const contender of contenders) {
    const times = hookCounts.map(count => number(at(time, contender, count), 1));
    const memories = [0, 1, 100].map(count => number(at(memory, contender, count), 1));
    console.log(row(contender.name, [...times, number(eachFurther(contender), 2), ...memories]));
  }

  console.log('\ngoals');
  const goal = (what: string, value: number, limit: number, unit: string): void => {
    const verdict = value <= limit ? 'met' : 'MISSED';
    console.log(
      `${what.padEnd(52)}${`${value.toFixed(2)} ${unit}`.padStart(10)}  (at most ${limit}): ${verdict}`,
    );
  };
  const figure = (what: string, value: number): void =>
    console.log(what.padEnd(52) + `${value.toFixed(2)} x`.padStart(10));
  goal('one hook, beside node -e 0', at(time, tool, 1) / at(time, bareNode, 0), 1.3, 'x');
  goal('each further hook, beside run-parts', eachFurther(tool) / eachFurther(runParts), 2, 'x');
  const checked = eachFurther(tool) / (eachFurther(tool) - eachFurther(dryRun));
  figure('each further hook, beside one without the checks', checked);
  const added = at(time, session, 1) - at(time, bareBackup, 0);
  const ratio = added / (3 * at(time, bareNode, 0));
  figure('a session of one hook adds, beside three node -e 0', ratio);
  const memoryOver = Math.max(...hookCounts.map(count => at(memory, tool, count))) - at(memory, bareNode, 0);
  goal('peak memory, above node -e 0', memoryOver, 15, 'MiB');

  const program = executable();
  console.log(`\n${size(program).padStart(10)} MiB  dist/tklbam-hooks`);
  for (const name of readdirSync(join(repository, 'dist')).filter(each => each.endsWith('.deb'))) {
    const path = join(repository, 'dist', name);
    goal(`dist/${name}`, statSync(path).size / 2 ** 20, 28, 'MiB');
  }
}

function size(path: string): string {
  return (statSync(path).size / 2 ** 20).toFixed(1);
}
