// Signals to real runs of wrap, run and the guardian: none is lost, none ends what is to go on, and COMMAND is never left alone. And what
// COMMAND and hooks inherit besides: streams, limits, dispositions.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { closeSync, existsSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  hooksDirectory,
  install,
  isRoot,
  place,
  plainEnvironment,
  programs,
  run,
  scratch,
  settled,
  start,
  until,
} from '../support/harness.ts';
import { repository } from '../support/repository.ts';

interface Stage {
  readonly hooks: string;
  readonly env: Readonly<Record<string, string>>;
  /** The lines of `$RECORD`: `NAME STATE` of each hook, and what a command adds. */
  readonly told: () => string[];
  readonly record: string;
}

function stage(t: TestContext, ...names: readonly string[]): Stage {
  const hooks = hooksDirectory(t);
  const directory = scratch(t);
  for (const name of names) install(hooks, 'fail-on', name);
  const record = join(directory, 'record');
  const env = {
    TKLBAM_HOOKS: hooks,
    TKLBAM_HOOKS_STATE: join(directory, 'state'),
    TKLBAM_HOOKS_LOG: join(directory, 'log'),
    // Only what fails waits for it.
    TKLBAM_HOOKS_GRACE: '1h',
    RECORD: record,
  };
  const told = (): string[] =>
    existsSync(record) ? readFileSync(record, 'utf8').split('\n').filter(Boolean) : [];
  return { hooks, env, told, record };
}

const recordOf = ({ env }: Stage): string => join(String(env.TKLBAM_HOOKS_STATE), 'sessions/backup.json');
const outcomes = ({ env }: Stage): unknown[] =>
  readFileSync(String(env.TKLBAM_HOOKS_LOG), 'utf8')
    .split('\n')
    .filter(Boolean)
    .map(line => JSON.parse(line))
    .filter(({ type }) => type === 'session')
    .map(({ outcome }) => outcome);

/** What a hook or a command does until `letGo`. */
const WAIT = 'echo ready; while [ ! -e "$RECORD.go" ]; do sleep 0.05; done';
const letGo = ({ record }: Stage): void => writeFileSync(`${record}.go`, '');
/** What one does that can ask its terminal, until that goes away. */
const UNTIL_GONE = 'echo ready >/dev/tty; while echo 2>/dev/null >/dev/tty; do sleep 0.05; done';

type Action = readonly ['expect' | 'send', string] | readonly ['hangup'];

async function onTerminal(
  t: TestContext,
  actions: readonly Action[],
  command: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<{ readonly output: string; readonly status: unknown }> {
  const helper = join(repository, 'test/support/on-terminal.py');
  const running = start(t, ['python3', helper, JSON.stringify(actions), ...command], env);
  await running.ended;
  return JSON.parse(running.stdout());
}

for (const program of programs) {
  const wrap = (...command: string[]): [string, ...string[]] => [
    ...program.command,
    'wrap',
    'backup',
    '--',
    ...command,
  ];

  describe(`${program.name}: signals`, { concurrency: 4 }, () => {
    /** Leaves the session of a guardian that was killed; its hook b waits in `error`. */
    const cutOff = (t: TestContext): Stage => {
      const made = stage(t, 'a');
      place(made.hooks, 'b', `#!/bin/sh\n[ "$2" != error ] || { ${WAIT}; }\necho "b $2" >>"$RECORD"\n`);
      const [file, ...args] = wrap('sh', '-c', 'kill -9 $PPID');
      spawnSync(file, args, { env: { ...plainEnvironment, ...made.env }, cwd: '/' });
      assert.deepEqual(made.told(), ['a pre', 'b pre']);
      return made;
    };

    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      test(`${signal} in the recovery that precedes: that ends well, COMMAND is not run`, async t => {
        const made = cutOff(t);
        const running = start(t, wrap('echo', 'COMMAND RUNS'), made.env);
        await running.says('ready');
        running.child.kill(signal);
        await settled(running.child.pid);
        letGo(made);
        const [status, stderr] = await running.ended;
        assert.equal(status, signal, stderr);
        assert.ok(!running.stdout().includes('COMMAND RUNS'));
        assert.match(stderr, new RegExp(`HookError: interrupted by signal ${signal}, no hook was run\n`));
        assert.deepEqual(made.told().slice(2), ['b error', 'a error']);
        assert.ok(!existsSync(recordOf(made)));
        assert.deepEqual(outcomes(made), ['failed', 'turned-away']);
      });
    }

    test('one signal does not hide another that comes after it', async t => {
      const made = stage(t, 'a');
      // Both while a state is being prepared or a hook runs: neither is for the hook but TERM.
      place(made.hooks, 'b', `#!/bin/sh\necho "b $2" >>"$RECORD"\n[ "$2" = error ] || { ${WAIT}; }\n`);
      const running = start(t, wrap('echo', 'COMMAND RUNS'), made.env);
      await running.says('ready');
      for (const signal of ['SIGUSR2', 'SIGALRM', 'SIGTERM'] as const) running.child.kill(signal);
      const [status, stderr] = await running.ended;
      assert.equal(status, 'SIGTERM', stderr);
      assert.ok(!running.stdout().includes('COMMAND RUNS'));
      assert.deepEqual(made.told(), ['a pre', 'b pre', 'b error', 'a error']);
    });

    test('all that would end us is passed on to COMMAND, which decides', async t => {
      const made = stage(t, 'a');
      const signals = ['VTALRM', 'IO', 'STKFLT', 'XCPU', 'USR2', 'QUIT', 'ALRM', 'PWR'] as const;
      const traps = signals.map(name => `trap 'echo got ${name}' ${name}`).join('\n');
      const script = `${traps}\n${WAIT}`;
      // dash knows not all of these names.
      const running = start(t, wrap('bash', '-c', script), made.env);
      await running.says('ready');
      for (const name of signals) {
        running.child.kill(`SIG${name}`);
        await running.says(`got ${name}\n`);
      }
      letGo(made);
      const [status, stderr] = await running.ended;
      assert.equal(status, 0, stderr);
      assert.deepEqual(made.told(), ['a pre', 'a post']);
    });

    test('a COMMAND that gets TERM and ends well has done its work: post', async t => {
      const made = stage(t, 'a');
      const running = start(t, wrap('sh', '-c', `trap 'exit 0' TERM; ${WAIT}`), made.env);
      await running.says('ready');
      running.child.kill('SIGTERM');
      // So does what it started, and its shell may say so.
      const [status] = await running.ended;
      assert.equal(status, 0);
      assert.deepEqual(made.told(), ['a pre', 'a post']);
    });

    test('COMMAND gets TERM when the runner is killed with -9', async t => {
      const made = stage(t, 'a');
      const script = `trap 'echo terminated >>"$RECORD"; exit' TERM\n${WAIT}`;
      const running = start(t, wrap('sh', '-c', script), made.env);
      await running.says('ready');
      running.child.kill('SIGKILL');
      await until('COMMAND is told', () => made.told().includes('terminated'));
    });

    test('a signal in the last moment: dead of it and told, or done', { timeout: 600_000 }, async t => {
      const made = stage(t);
      place(made.hooks, 'a', '#!/bin/sh\necho "a $2" >>"$RECORD"\n[ "$2" != post ] || echo last\n');
      const endings = new Set<unknown>();
      for (let count = 0; count < 8; count++) {
        writeFileSync(made.record, '');
        const running = start(t, wrap('true'), made.env);
        await running.says('last');
        await sleep(count * 6);
        running.child.kill('SIGTERM');
        const [status, stderr] = await running.ended;
        endings.add(status);
        assert.deepEqual(made.told(), ['a pre', 'a post', ...(status === 0 ? [] : ['a error'])], stderr);
        assert.ok(!existsSync(recordOf(made)));
      }
      for (const each of endings) assert.ok(each === 0 || each === 'SIGTERM', String(each));
    });

    test('a signal between the hooks of pre and COMMAND is not lost', { timeout: 600_000 }, async t => {
      const made = stage(t);
      place(made.hooks, 'a', '#!/bin/sh\necho "a $2" >>"$RECORD"\necho "$2 done"\n');
      for (let count = 0; count < 8; count++) {
        writeFileSync(made.record, '');
        const running = start(t, wrap('sleep', '600'), made.env);
        await running.says('pre done');
        await sleep(count * 6);
        running.child.kill('SIGTERM');
        const [status, stderr] = await running.ended;
        assert.equal(status, 'SIGTERM', stderr);
        assert.deepEqual(made.told(), ['a pre', 'a error'], stderr);
      }
    });

    test('Ctrl-C ends the loop of a shell that runs it', async t => {
      const made = stage(t, 'a');
      const script = 'for r in 1 2 3; do echo round $r; "$@"; done; echo after';
      const actions = [
        ['expect', 'ready'],
        ['send', '\x03'],
      ] as const;
      const words = ['bash', '-c', script, 'bash', ...wrap('sh', '-c', 'echo ready; exec sleep 600')];
      const { output, status } = await onTerminal(t, actions, words, made.env);
      assert.equal(status, -2, output);
      assert.ok(
        output.includes('round 1') && !output.includes('round 2') && !output.includes('after'),
        output,
      );
      assert.deepEqual(made.told(), ['a pre', 'a error']);
    });

    test('Ctrl-\\ reaches COMMAND once, and does not end the runner', async t => {
      const made = stage(t, 'a');
      // Not a shell, which runs its trap once for two that come while it waits for a program.
      const script = `import os, signal
record = os.environ["RECORD"]
signal.signal(signal.SIGQUIT, lambda *_: print("quit", file=open(record, "a")))
print("ready", flush=True)
while not os.path.exists(record + ".go"): signal.sigtimedwait([], 0.05)
`;
      const helper = onTerminal(
        t,
        [
          ['expect', 'ready'],
          ['send', '\x1c'],
        ],
        wrap('python3', '-c', script),
        made.env,
      );
      await until('COMMAND gets it', () => made.told().includes('quit'));
      // The runner has it too, and what it would send is on its way.
      await sleep(300);
      letGo(made);
      const { output, status } = await helper;
      assert.equal(status, 0, output);
      assert.deepEqual(made.told(), ['a pre', 'quit', 'a post']);
    });

    test('under nohup, a hang-up ends neither wrap nor COMMAND nor hooks', async t => {
      const made = stage(t, 'a');
      place(made.hooks, 'b', `#!/bin/sh\n[ "$2" != pre ] || { ${UNTIL_GONE}; }\necho "b $2" >>"$RECORD"\n`);
      const script = `kill -HUP $PPID; kill -HUP $$; echo command >>"$RECORD"`;
      const out = join(scratch(t), 'out');
      const nohup = ['sh', '-c', `exec 9>/dev/tty; exec nohup "$@" >${out} 2>&1 </dev/null`, 'sh'];
      const actions = [['expect', 'ready'], ['hangup']] as const;
      const { status } = await onTerminal(t, actions, [...nohup, ...wrap('sh', '-c', script)], made.env);
      const lines = ['a pre', 'b pre', 'command', 'b post', 'a post'];
      assert.deepEqual([status, made.told()], [0, lines], readFileSync(out, 'utf8'));
    });

    test('nor COMMAND while it runs', async t => {
      const made = stage(t, 'a');
      const out = join(scratch(t), 'out');
      const nohup = ['sh', '-c', `exec 9>/dev/tty; exec nohup "$@" >${out} 2>&1 </dev/null`, 'sh'];
      const actions = [['expect', 'ready'], ['hangup']] as const;
      const words = wrap('sh', '-c', `${UNTIL_GONE}; echo command >>"$RECORD"`);
      const { status } = await onTerminal(t, actions, [...nohup, ...words], made.env);
      assert.deepEqual([status, made.told()], [0, ['a pre', 'command', 'a post']], readFileSync(out, 'utf8'));
    });

    test('nor run, in any state', async t => {
      for (const state of ['pre', 'post']) {
        const made = stage(t, 'a', 'c');
        place(made.hooks, 'b', `#!/bin/sh\n${UNTIL_GONE}; echo "b $2" >>"$RECORD"\n`);
        const out = join(scratch(t), 'out');
        const nohup = ['sh', '-c', `exec 9>/dev/tty; exec nohup "$@" >${out} 2>&1 </dev/null`, 'sh'];
        const actions = [['expect', 'ready'], ['hangup']] as const;
        // In post the hook has a session of its own, and no terminal to ask.
        if (state === 'post')
          place(made.hooks, 'b', '#!/bin/sh\nkill -HUP $PPID; kill -HUP $$; echo "b $2" >>"$RECORD"\n');
        const words = [...nohup, ...program.command, 'run', 'backup', state];
        const { status } = await onTerminal(t, state === 'post' ? [] : actions, words, made.env);
        const names = state === 'pre' ? ['a', 'b', 'c'] : ['c', 'b', 'a'];
        assert.deepEqual(
          [status, made.told()],
          [0, names.map(name => `${name} ${state}`)],
          readFileSync(out, 'utf8'),
        );
      }
    });

    if (isRoot) {
      test('as PID 1 of a container, which no signal of its own ends, the status is 128+n', async t => {
        const made = stage(t, 'a');
        const running = start(
          t,
          [
            'unshare',
            '--pid',
            '--fork',
            '--kill-child',
            '--mount-proc',
            ...wrap('sh', '-c', `trap : TERM; ${WAIT}; exit 5`),
          ],
          made.env,
        );
        await running.says('ready');
        const [inner] = readFileSync(
          `/proc/${running.child.pid}/task/${running.child.pid}/children`,
          'latin1',
        ).split(' ');
        process.kill(Number(inner), 'SIGTERM');
        await settled(Number(inner));
        letGo(made);
        const [status, stderr] = await running.ended;
        assert.equal(status, 143, stderr);
        assert.deepEqual(made.told(), ['a pre', 'a error']);
      });
    }
  });

  describe(`${program.name}: what COMMAND has`, { concurrency: 4 }, () => {
    const limits = 'echo "$(ulimit -S -n) $(ulimit -H -n)"';
    for (const [which, names] of [
      ['hooks and COMMAND have', ['a']],
      ['COMMAND has, where there is no hook,', []],
    ] as const) {
      test(`${which} the caller's limit of open files`, t => {
        const made = stage(t);
        for (const name of names)
          place(made.hooks, name, `#!/bin/bash\necho "$2 $(ulimit -S -n) $(ulimit -H -n)" >&2\n`);
        const script = 'ulimit -S -n 1024; ulimit -H -n 4096; "$@"; exit $?';
        const args = ['-c', script, 'bash', ...wrap('bash', '-c', limits)];
        const { status, stdout, stderr } = spawnSync('bash', args, {
          env: { ...plainEnvironment, ...made.env },
          encoding: 'utf8',
        });
        const told = names.length === 0 ? '' : 'pre 1024 4096\npost 1024 4096\n';
        assert.deepEqual([status, stdout, stderr], [0, '1024 4096\n', told]);
      });
    }

    test('stdin and stdout are its own: a hook that reads and prints changes neither', t => {
      const made = stage(t);
      place(made.hooks, 'a', '#!/bin/sh\nhead -c 100000 >/dev/null\necho "hook $2"\n');
      const input = Buffer.alloc(3 << 20, 'The quick brown fox\n');
      const file = join(scratch(t), 'input');
      writeFileSync(file, input);
      const sum = (data: Uint8Array): string => createHash('sha256').update(data).digest('hex');
      const [first, ...args] = wrap('cat');
      const env = { ...plainEnvironment, ...made.env };
      const piped = spawnSync(first, args, { env, input, maxBuffer: 8 << 20 });
      const descriptor = openSync(file, 'r');
      const redirected = spawnSync(first, args, {
        env,
        stdio: [descriptor, 'pipe', 'pipe'],
        maxBuffer: 8 << 20,
      });
      closeSync(descriptor);
      for (const { status, stdout, stderr } of [piped, redirected]) {
        assert.deepEqual([status, String(stderr)], [0, 'hook pre\nhook post\n']);
        assert.equal(sum(stdout), sum(input));
      }
    });

    test('a command that is missing or cannot be executed: no hook runs, and it leaves a line', t => {
      const made = stage(t, 'a');
      const plain = join(scratch(t), 'plain');
      writeFileSync(plain, 'text');
      for (const [command, status] of [
        ['restci', 127],
        [plain, 126],
        ['/nonexistent/restic', 127],
      ] as const)
        assert.equal(run(program, ['wrap', 'backup', '--', command], { env: made.env }).status, status);
      assert.deepEqual([made.told(), outcomes(made)], [[], ['turned-away', 'turned-away', 'turned-away']]);
      const { stdout } = run(program, ['status'], { env: made.env });
      assert.match(
        stdout,
        /^backup: FAILED, .*\n {2}'\/nonexistent\/restic' is not to be found, no hook was run\n {2}the last good one: none is known\n$/,
      );
    });

    test('hooks know the status that it ended with; one that is a warning is no failure', t => {
      const made = stage(t);
      place(made.hooks, 'a', '#!/bin/sh\necho "$2 $(printenv TKLBAM_HOOK_STATUS)" >>"$RECORD"\n');
      const end = (...args: string[]): unknown[] => {
        writeFileSync(made.record, '');
        const { status, stderr } = run(program, ['wrap', 'backup', ...args], {
          env: { ...made.env, TKLBAM_HOOK_STATUS: '9' },
        });
        return [status, stderr, made.told()];
      };
      assert.deepEqual(end('--', 'true'), [0, '', ['pre ', 'post 0']]);
      assert.deepEqual(end('--', 'sh', '-c', 'exit 3'), [
        3,
        "tklbam-hooks: 'sh' exited with status 3\n",
        ['pre ', 'error 3'],
      ]);
      assert.deepEqual(end('--warn-status', '3', '--', 'sh', '-c', 'exit 3'), [
        0,
        "tklbam-hooks: 'sh' exited with status 3, a warning (--warn-status)\n",
        ['pre ', 'post 3'],
      ]);
      assert.deepEqual(end('--warn-status', '3', '--', 'sh', '-c', 'kill -KILL $$')[2], [
        'pre ',
        'error 137',
      ]);
    });
  });
}
