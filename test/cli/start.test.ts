// What a start loads and starts: the structure that makes it quick, since times are the machine's.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { bundle, executable, node } from '../support/built.ts';
import { hooksDirectory, install, isRoot, plainEnvironment, scratch } from '../support/harness.ts';
import { repository } from '../support/repository.ts';

/** Modules of Node.js that take longer than the rest of a start, and what brings them. */
const PROCESSES = ['child_process', 'net', 'stream'];
const STREAMS = ['tty', 'internal/fs/streams', 'internal/readline/interface', 'perf_hooks'];

interface Seen {
  readonly modules: readonly string[];
  /** The parts of the bundle that ran, by their names in it. */
  readonly chunks: readonly string[];
}

/** What the bundle loads for a command. */
function seen(t: TestContext, ...args: readonly string[]): Seen {
  const directory = scratch(t);
  const [coverage, loaded] = [join(directory, 'coverage'), join(directory, 'loaded')];
  mkdirSync(coverage);
  const preload = join(repository, 'test/support/loaded.cjs');
  const words = ['--require', preload, bundle(), ...args];
  const env = { ...plainEnvironment, NODE_V8_COVERAGE: coverage, LOADED: loaded };
  const { status, stderr } = spawnSync(node, words, { env, encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  const chunks = readdirSync(coverage).flatMap(name =>
    JSON.parse(readFileSync(join(coverage, name), 'utf8')).result.flatMap(({ functions }: Script) =>
      functions
        .filter(({ functionName, ranges }) => functionName.startsWith('./') && (ranges[0]?.count ?? 0) > 0)
        .map(({ functionName }) => functionName.replace(/-\w{8}\.js$|\.js$/, '')),
    ),
  );
  return { modules: readFileSync(loaded, 'utf8').split('\n'), chunks };
}

/** Of the coverage that V8 writes. */
interface Script {
  readonly functions: readonly {
    readonly functionName: string;
    readonly ranges: readonly { readonly count: number }[];
  }[];
}

const among = (all: readonly string[], names: readonly string[]): string[] =>
  names.filter(name => all.includes(name));

test('what asks only to be told something loads nothing that starts programs', t => {
  const directory = hooksDirectory(t);
  install(directory, 'succeed', 'a');
  const commands = [['--version'], ['help', 'wrap'], ['list', 'backup', 'pre', '--hooks', directory]];
  for (const words of commands) {
    const { modules, chunks } = seen(t, ...words);
    assert.ok(chunks.includes('./main'));
    assert.deepEqual(among(modules, [...PROCESSES, ...STREAMS]), [], words.join(' '));
    assert.deepEqual(among(chunks, ['./execa', './run', './wrap', './session']), [], words.join(' '));
  }
});

test('a dry run does not load execa, a run does, and neither opens a stream', t => {
  const directory = hooksDirectory(t);
  install(directory, 'succeed', 'a');
  const words = ['run', 'backup', 'pre', '--hooks', directory];
  const [dry, real] = [seen(t, ...words, '--dry-run'), seen(t, ...words)];
  assert.deepEqual(among(dry.chunks, ['./run', './execa']), ['./run']);
  assert.deepEqual(among(real.chunks, ['./run', './execa']), ['./run', './execa']);
  for (const { modules } of [dry, real]) assert.deepEqual(among(modules, STREAMS), []);
  assert.deepEqual(among(real.modules, PROCESSES), PROCESSES);
  assert.deepEqual(among(real.chunks, ['./wrap', './session', './library', './check', './watchdog']), []);
});

test('Node.js finds its own modules compiled: with any option of V8 it would read them anew', t => {
  const directory = hooksDirectory(t);
  install(directory, 'succeed', 'a');
  const words = ['run', 'backup', 'pre', '--hooks', directory];
  const env = { ...plainEnvironment, NODE_DEBUG_NATIVE: 'CODE_CACHE' };
  const { status, stderr, stdout } = spawnSync(executable(), words, { env, encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  const told = `${stdout}${stderr}`.match(/^Code cache of .*$/gm) ?? [];
  assert.ok(
    told.some(line => /^Code cache of child_process .* is accepted$/.test(line)),
    told.join('\n'),
  );
  assert.deepEqual(
    told.filter(line => !line.endsWith(' is accepted')),
    [],
  );
});

if (isRoot) {
  test('a session starts its hooks, COMMAND and a few small programs, and no second Node.js', t => {
    const directory = hooksDirectory(t);
    const state = scratch(t);
    for (const name of ['a', 'b', 'c']) install(directory, 'succeed', name);
    // In a pid namespace of its own, the last number tells how many processes and threads there were.
    const used = (words: readonly string[]): number => {
      // With no limit of open files to give back.
      const script = 'ulimit -n "$(ulimit -H -n)"; "$@" >&2; cat /proc/sys/kernel/ns_last_pid';
      const { status, stdout, stderr } = spawnSync(
        'unshare',
        ['--pid', '--fork', '--mount-proc', 'sh', '-c', script, 'sh', ...words],
        {
          env: {
            ...plainEnvironment,
            TKLBAM_HOOKS_STATE: join(state, 'state'),
            TKLBAM_HOOKS_LOG: join(state, 'log'),
          },
          encoding: 'utf8',
        },
      );
      assert.equal(status, 0, stderr);
      return Number(stdout);
    };
    const start = used([executable(), '--version']) - used(['true']);
    const session =
      used([executable(), 'wrap', 'backup', '--hooks', directory, '--', 'true']) - used(['true']);
    // A shell for two locks that becomes the second, that of status.json, and the FIFO; one thread that writes files.
    const most = start + 6 + 1 + 4 + 1;
    // Itself and two threads of Node.js, on a machine with many processors too.
    assert.equal(start, 3);
    assert.ok(session <= most, `${session} processes and threads, ${most} at most`);
    assert.ok(session >= 6 + 1 + start, String(session));
  });
}
