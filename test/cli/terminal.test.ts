// A run on a terminal: prompts, Ctrl-C, job control, and a terminal that goes away.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { hooksDirectory, install, place, programs, scratch, start, until } from '../support/harness.ts';
import { repository } from '../support/repository.ts';

type Action = readonly ['expect' | 'send', string] | readonly ['hangup'];

const helper = join(repository, 'test/support/on-terminal.py');

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
      const running = start(t, ['python3', helper, JSON.stringify(actions), ...command], env);
      await running.ended;
      const { output, status } = JSON.parse(running.stdout());
      return { output: String(output).replaceAll('\r\n', '\n'), status };
    };

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
      await running.ended;
      assert.match(
        JSON.parse(running.stdout()).output.replaceAll('\r\n', '\n'),
        /^out\nhalfjoe\n of it, joe\n/,
      );
      const [entry = ''] = readFileSync(join(state, 'log'), 'utf8').split('\n');
      assert.equal(JSON.parse(entry).output, 'half of it, joe');
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
      await running.ended;
      const { output } = JSON.parse(running.stdout());
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
