// A run on a terminal: prompts, Ctrl-C, job control, and a terminal that goes away.
import assert from 'node:assert/strict';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import {
  ending,
  hooksDirectory,
  install,
  place,
  programs,
  type Running,
  run,
  scratch,
  start,
  until,
} from '../support/harness.ts';
import { repository } from '../support/repository.ts';
import { openScreen } from '../support/screen.ts';

type Action = readonly ['expect' | 'send', string] | readonly ['hangup'];

const helper = join(repository, 'test/support/on-terminal.py');

/** What was shown on the terminal, and the exit status. All of what says so may be read after the end of who said it. */
async function over(running: Running): Promise<{ output: string; status: unknown }> {
  await until('the terminal has gone', () => running.stdout().endsWith('}\n'));
  const { output, status } = JSON.parse(running.stdout());
  return { output: String(output).replaceAll('\r\n', '\n'), status };
}

/** What a hook does until its terminal goes away. */
const UNTIL_GONE = 'echo ready; while [ -t 1 ]; do sleep 0.05; done';

for (const program of programs) {
  describe(`${program.name}, on a terminal`, { concurrency: 4 }, () => {
    const onTerminal = async (
      t: TestContext,
      state: string,
      directory: string,
      actions: readonly Action[],
      env: Record<string, string> = {},
    ): Promise<{ output: string; status: unknown }> => {
      const command = [...program.command, 'run', 'backup', state, '--hooks', directory] as const;
      return over(start(t, ['python3', helper, JSON.stringify(actions), ...command], env));
    };

    test('check says that it found nothing, and wraps what it found; cron is told nothing, and all in a line', async t => {
      const directory = hooksDirectory(t);
      const check = async () => {
        const words = [...program.command, 'check', '--hooks', directory] as const;
        const { output, status } = await over(start(t, ['python3', helper, '[]', ...words]));
        return [output, status];
      };
      install(directory, 'succeed', 'a');
      assert.deepEqual(await check(), ['Nothing found that would keep hooks from running.\n', 0]);
      assert.deepEqual(ending(run(program, ['check', '--hooks', directory])), [0, '', '']);
      for (const name of ['b.bak', 'c.bak']) install(directory, 'succeed', name);
      const { stdout } = run(program, ['check', '--hooks', directory]);
      assert.match(stdout, /^'.*b\.bak': .{60,}\n'.*c\.bak': .{60,}\n$/);
      const [shown, status] = await check();
      assert.equal(String(shown).replaceAll('\n    ', ' '), stdout);
      assert.match(String(shown), /\n {4}\S/);
      assert.equal(status, 1);
    });

    test('a hook can ask through stdin', async t => {
      const directory = hooksDirectory(t);
      place(directory, 'a', '#!/bin/sh\nprintf "name? "\nread -r name\necho "got $name"\n');
      const talk = [
        ['expect', 'name? '],
        ['send', 'joe\n'],
      ] as const;
      for (const state of ['pre', 'post']) {
        assert.deepEqual(await onTerminal(t, state, directory, talk), {
          output: 'name? joe\ngot joe\n',
          status: 0,
        });
      }
    });

    test('what a hook of a session says is shown as it comes, and of one that fails its end is kept', async t => {
      const directory = hooksDirectory(t);
      place(
        directory,
        'a',
        '#!/bin/sh\n[ "$2" = pre ] || exit 0\necho out; printf "half" >&2; read -r word; echo " of it, $word" >&2; exit 3\n',
      );
      const state = scratch(t);
      const talk = [
        ['expect', 'half'],
        ['send', 'joe\n'],
      ] as const;
      const env = {
        TKLBAM_HOOKS_STATE: state,
        TKLBAM_HOOKS_LOG: join(state, 'log'),
        TKLBAM_HOOKS: directory,
      };
      const command = [...program.command, 'wrap', 'backup', '--', 'true'] as const;
      const running = start(t, ['python3', helper, JSON.stringify(talk), ...command], env);
      assert.match((await over(running)).output, /^out\nhalfjoe\n of it, joe\n/);
      const [entry = ''] = readFileSync(join(state, 'log'), 'utf8').split('\n');
      assert.equal(JSON.parse(entry).output, 'half of it, joe');
    });

    describe('which hook runs', { concurrency: 8 }, () => {
      // Long enough for the line to come, if it does.
      const QUIET = '#!/bin/sh\n[ "$2" = pre ] || exit 0\nsleep 3.5\n';
      /** For as long as it takes until the line has come. */
      const ASKS = '#!/bin/sh\n[ "$2" = pre ] || exit 0\nread -r word\n';
      const ANSWER = [
        ['expect', 'runs (backup pre), '],
        ['send', '\n'],
      ] as const;
      const ESCAPE = '\x1b';
      const shown = (path: string, state: string): RegExp =>
        new RegExp(`\x1b\\[m'${path}' runs \\(backup ${state}\\), (?:[2-9]|\\d\\d+) s\x1b`);

      test('is said after 2 s, and nothing is left of it', async t => {
        const directory = hooksDirectory(t);
        place(directory, 'a', ASKS);
        const endings = [{ TERM: 'xterm' }, { TERM: 'linux', NO_COLOR: '1' }].map(env =>
          onTerminal(t, 'pre', directory, ANSWER, env),
        );
        for (const { output, status } of await Promise.all(endings)) {
          assert.equal(status, 0);
          assert.match(output, shown(`${directory}/a`, 'pre'));
          assert.ok(output.endsWith('\x1b7\x1b[r\x1b[24;1H\x1b[2K\x1b8'), JSON.stringify(output));
          assert.doesNotMatch(output, / [01] s/);
        }
      });

      test('is not said where the terminal knows no escapes, nor of a hook that has printed', async t => {
        const directory = hooksDirectory(t);
        place(directory, 'a', QUIET);
        const blind = [{}, { TERM: '' }, { TERM: 'dumb' }].map(env =>
          onTerminal(t, 'pre', directory, [], env),
        );
        for (const ending of await Promise.all(blind)) assert.deepEqual(ending, { output: '', status: 0 });
        const printed = ['/dev/stdout', '/dev/stderr', '/dev/tty'].map(to => {
          const other = hooksDirectory(t);
          place(other, 'a', `#!/bin/sh\nexec 3>${to}\nprintf 'first? ' >&3\nsleep 3.5\n`);
          return onTerminal(t, 'pre', other, [], { TERM: 'xterm' });
        });
        for (const { output, status } of await Promise.all(printed)) {
          assert.equal(status, 0);
          assert.match(output, /first\? /);
          assert.doesNotMatch(output, /first\? .*runs/s);
        }
      });

      test('is not said without a terminal, nor in the background of a shell', async t => {
        const directory = hooksDirectory(t);
        place(directory, 'a', QUIET);
        const words = [...program.command, 'run', 'backup', 'pre', '--hooks', directory];
        const command = words.join(' ');
        const runs = [`${command} 2>&1 | cat`, `set -m; ${command} & wait`].map(script =>
          start(t, ['python3', helper, '[]', 'bash', '-c', script], { TERM: 'xterm' }),
        );
        for (const running of runs) {
          const { output, status } = await over(running);
          assert.equal(status, 0);
          assert.ok(!output.includes(ESCAPE), output);
        }
      });

      test('is said whatever others write to their terminals', async t => {
        const directory = hooksDirectory(t);
        place(directory, 'a', ASKS);
        const others = start(t, [
          'python3',
          helper,
          '[]',
          'sh',
          '-c',
          'while :; do echo >/dev/tty; sleep 0.1; done',
        ]);
        const { output } = await onTerminal(t, 'pre', directory, ANSWER, { TERM: 'xterm' });
        assert.match(output, shown(`${directory}/a`, 'pre'));
        assert.equal(others.child.exitCode, null);
      });

      test('is said by wrap of its hooks, not of COMMAND', async t => {
        const directory = hooksDirectory(t);
        place(directory, 'a', ASKS);
        const state = scratch(t);
        const env = {
          TKLBAM_HOOKS_STATE: state,
          TKLBAM_HOOKS_LOG: join(state, 'log'),
          TKLBAM_HOOKS: directory,
          TERM: 'xterm',
        };
        const command = [
          ...program.command,
          'wrap',
          'backup',
          '--',
          'sh',
          '-c',
          'sleep 3.5; echo done',
        ] as const;
        const running = start(t, ['python3', helper, JSON.stringify(ANSWER), ...command], env);
        const { output, status } = await over(running);
        assert.equal(status, 0);
        assert.match(output, shown(`${directory}/a`, 'pre'));
        assert.equal(output.split(ESCAPE).at(-1), '8done\n');
      });

      test('meets nothing that the hook prints, however much and before we know', async t => {
        const directory = hooksDirectory(t);
        const go = join(scratch(t), 'go');
        const waits = `while [ ! -e ${go} ]; do sleep 0.05; done`;
        // What it prints first, it prints while we are stopped.
        place(
          directory,
          'a',
          `#!/bin/sh\n${waits}\necho $PPID >${go}.runner; kill -STOP $PPID\nseq 40\nwhile [ -e ${go} ]; do sleep 0.05; done\nprintf 'name? '\nread -r name\necho "got $name"\n`,
        );
        const words = [...program.command, 'run', 'backup', 'pre', '--hooks', directory];
        const screen = openScreen(
          t,
          `printf 'before '; ${words.join(' ')}; echo "ended $?"; exec sleep infinity`,
        );
        const line = /^'\/.*\/a' runs \(backup pre\), \d+ s$/;
        await until('it says which hook runs', () => line.test(screen.rows()[23] ?? ''));
        assert.equal(screen.rows()[0], 'before');
        writeFileSync(go, '');
        const numbers = (from: number, to: number): string[] =>
          Array.from({ length: to - from + 1 }, (_, i) => `${from + i}`);
        await until('all is printed', () => screen.rows().includes('40'));
        const burst = screen.rows();
        assert.deepEqual(burst.slice(0, 23), [...numbers(19, 40), '']);
        assert.match(burst[23] ?? '', line);
        process.kill(Number(readFileSync(`${go}.runner`, 'utf8')), 'SIGCONT');
        await until('the line is gone', () => screen.rows()[23] === '');
        assert.deepEqual(screen.rows().slice(0, 23), [...numbers(19, 40), '']);
        rmSync(go);
        await until('it asks', () => screen.rows().includes('name?'));
        screen.type('joe\n');
        await until('it is over', () => screen.rows().includes('ended 0'));
        assert.deepEqual(screen.rows(), [...numbers(21, 40), 'name? joe', 'got joe', 'ended 0', '']);
      });
    });

    test('a hook can ask through /dev/tty in pre', async t => {
      const directory = hooksDirectory(t);
      install(directory, 'read-terminal');
      const talk = [
        ['expect', 'name? '],
        ['send', 'joe\n'],
      ] as const;
      assert.deepEqual(await onTerminal(t, 'pre', directory, talk), {
        output: 'name? joe\ngot joe\n',
        status: 0,
      });
    });

    for (const state of ['pre', 'post']) {
      test(`Ctrl-C reaches the hook of ${state} once`, async t => {
        const directory = hooksDirectory(t);
        install(directory, 'count-signals', 'a');
        const record = join(scratch(t), 'record');
        const talk = [
          ['expect', 'ready'],
          ['send', '\x03'],
        ] as const;
        const { status } = await onTerminal(t, state, directory, talk, { RECORD: record });
        // As Python has it: of signal 2.
        assert.equal(status, -2);
        assert.equal(readFileSync(record, 'utf8'), 'INT\n');
      });
    }

    test('Ctrl-Z stops the hook of pre with the run, and fg goes on with both', async t => {
      const directory = hooksDirectory(t);
      const go = join(scratch(t), 'go');
      place(directory, 'a', `#!/bin/sh\necho ready\nwhile [ ! -e ${go} ]; do sleep 0.05; done\necho done\n`);
      const command = [...program.command, 'run', 'backup', 'pre', '--hooks', directory].join(' ');
      // A shell with job control, as an administrator has one.
      const script = `set -m; ${command}; echo "stopped $?"; touch ${go}; fg >/dev/null; echo "ended $?"`;
      const actions: readonly Action[] = [
        ['expect', 'ready'],
        ['send', '\x1a'],
        ['expect', 'stopped'],
      ];
      const running = start(t, ['python3', helper, JSON.stringify(actions), 'bash', '-c', script]);
      const { output } = await over(running);
      assert.match(String(output), /ready.*stopped 148.*done.*ended 0/s);
    });

    test('a terminal that goes away ends pre', async t => {
      const directory = hooksDirectory(t);
      const record = join(scratch(t), 'record');
      install(directory, 'sleep', 'a');
      install(directory, 'record', 'b');
      const { status } = await onTerminal(t, 'pre', directory, [['expect', 'ready'], ['hangup']], {
        RECORD: record,
        // By the signal, not by a KILL after the grace.
        TKLBAM_HOOKS_GRACE: '1h',
      });
      assert.equal(status, -1);
      assert.ok(!existsSync(record));
    });

    test('a terminal that goes away does not stop post: not the hook that runs, nor the next', async t => {
      const directory = hooksDirectory(t);
      const record = join(scratch(t), 'record');
      install(directory, 'record', 'a');
      place(directory, 'b', `#!/bin/sh\n${UNTIL_GONE}\necho still here\necho b >>"$RECORD"\n`);
      const { status } = await onTerminal(t, 'post', directory, [['expect', 'ready'], ['hangup']], {
        RECORD: record,
      });
      assert.equal(status, 0);
      assert.equal(readFileSync(record, 'utf8'), 'b\na backup post /\n');
    });

    test('a hang-up that meets a hook of post as it is started does not keep it from running', async t => {
      const directory = hooksDirectory(t);
      const record = join(scratch(t), 'record');
      const names = Array.from({ length: 50 }, (_, index) => `${10 + index}`);
      for (const name of names) place(directory, name, `#!/bin/sh\necho ${name} >>"$RECORD"\n`);
      // The first of them: it leaves who sends, and ends when that has begun.
      const storm = join(repository, 'test/support/hang-up.py');
      place(directory, '99', `#!/bin/sh\nsetsid python3 '${storm}' $PPID >/dev/null 2>&1 &\nsleep 0.5\n`);
      const command = [...program.command, 'run', 'backup', 'post', '--hooks', directory].join(' ');
      const running = start(t, ['python3', helper, '[]', 'bash', '-c', `set -m; ${command}`], {
        RECORD: record,
      });
      assert.deepEqual(await over(running), { output: '', status: 0 });
      assert.equal(readFileSync(record, 'utf8'), names.toReversed().join('\n').concat('\n'));
    });

    test('a terminal that goes away with its shell does not stop post either', async t => {
      const directory = hooksDirectory(t);
      const record = join(scratch(t), 'record');
      install(directory, 'record', 'a');
      place(directory, 'b', `#!/bin/sh\n${UNTIL_GONE}\necho b >>"$RECORD"\n`);
      const command = [...program.command, 'run', 'backup', 'post', '--hooks', directory].join(' ');
      // The kernel sends HUP to the foreground process group when the shell, as the session's leader, ends.
      const actions: readonly Action[] = [['expect', 'ready'], ['hangup']];
      const running = start(
        t,
        ['python3', helper, JSON.stringify(actions), 'bash', '-c', `set -m; ${command}; :`],
        {
          RECORD: record,
        },
      );
      await running.ended;
      const isDone = (): boolean => existsSync(record) && readFileSync(record, 'utf8').endsWith('post /\n');
      await until('post is over', isDone);
      assert.equal(readFileSync(record, 'utf8'), 'b\na backup post /\n');
    });
  });
}
