// Sessions: wrap, the guardian's protocol, records, recovery, log and status.
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import type { SessionRecord } from '../../src/types.ts';
import {
  ending,
  install,
  isRoot,
  type Program,
  place,
  plainEnvironment,
  programs,
  type Running,
  run,
  scratch,
  settled,
  start,
  until,
} from '../support/harness.ts';
import { repository } from '../support/repository.ts';
import { frameOf, sessionsIn } from '../support/session-record.ts';
import { files, logged, type Stage, stage, states } from '../support/stage.ts';

/** A hook that stops in error if what it says cannot be written. */
const TALKS = `#!/bin/sh
set -e
[ "$2" = error ] || exit 0
echo out
echo err >&2
echo "a $2" >>"$RECORD"
`;
/** What a hook does until `letGo`. */
const WAIT = 'echo ready; while [ ! -e "$RECORD.go" ]; do sleep 0.05; done';
const letGo = ({ env }: Stage): void => writeFileSync(`${env.RECORD}.go`, '');

const AGAIN = "it is told again by the next session, at boot, or by 'tklbam-hooks recover'\n";

/** Changes the one session of a record, in place. */
function edit(path: string, change: (record: SessionRecord) => unknown): void {
  const text = readFileSync(path, 'utf8');
  writeFileSync(path, JSON.stringify({ ...frameOf(text), sessions: sessionsIn(text).map(change) }));
}

/** The runner itself, of what bears the mark of a started run. */
const survivors = (running: Running): readonly number[] => running.left();

for (const program of programs) {
  const wrap = (made: Stage, command: readonly string[], env: Record<string, string> = {}) =>
    ending(run(program, ['wrap', 'backup', '--', ...command], { env: { ...made.env, ...env } }));
  const recover = (made: Stage, args: readonly string[] = [], env: Record<string, string> = {}) =>
    ending(run(program, ['recover', ...args], { env: { ...made.env, ...env } }));
  /** A backup session that goes on until it is ended. */
  const hold = async (t: TestContext, made: Stage): Promise<Running> => {
    const command = ['wrap', 'backup', '--', 'sh', '-c', 'echo ready; exec sleep 600'];
    const running = start(t, [...program.command, ...command], made.env);
    await running.says('ready');
    return running;
  };
  const hookError = (made: Stage, what: string, rest: string): string =>
    `HookError: \`${made.hooks}/${what.replace(' ', ' backup ')}\` ${rest}\n`;

  describe(`${program.name}: wrap`, { concurrency: 4 }, () => {
    test('hooks of pre, the command, hooks of post; nothing is left', t => {
      const made = stage(t);
      assert.deepEqual(wrap(made, ['sh', '-c', 'echo command >>"$RECORD"; echo out; echo err >&2']), [
        0,
        'out\n',
        'err\n',
      ]);
      assert.deepEqual(made.told(), [...states('pre', 'abc'), 'command', ...states('post', 'cba')]);
      assert.deepEqual(files(made), []);
    });

    test('the command gets its arguments, environment and directory as they are', t => {
      const made = stage(t);
      const script = 'printf "[%s]" "$@"; pwd; env | grep -E "^(PATH|TKLBAM_HOOK_|PASS)" | sort';
      const words = ['sh', '-c', script, 'sh', '--help', '-x', '--', 'a b', '$(id)', ''];
      assert.deepEqual(wrap(made, words, { PASSPHRASE: 'of the command' }), [
        0,
        '[--help][-x][--][a b][$(id)][]/\nPASSPHRASE=of the command\nPATH=/usr/bin:/bin\n',
        '',
      ]);
    });

    test('a command that fails: error in reverse order, and its status', t => {
      const made = stage(t);
      assert.deepEqual(wrap(made, ['sh', '-c', 'exit 7']), [
        7,
        '',
        "tklbam-hooks: 'sh' exited with status 7\n",
      ]);
      assert.deepEqual(made.told(), [...states('pre', 'abc'), ...states('error', 'cba')]);
      assert.deepEqual(files(made), []);
    });

    test('a command that is killed, missing, or cannot be executed', t => {
      const made = stage(t, []);
      const plain = join(scratch(t), 'plain');
      writeFileSync(plain, 'text');
      assert.deepEqual(wrap(made, ['sh', '-c', 'kill -TERM $$']), [
        143,
        '',
        "tklbam-hooks: 'sh' killed by signal SIGTERM\n",
      ]);
      assert.deepEqual(wrap(made, ['restci', 'backup']), [
        127,
        '',
        "tklbam-hooks: 'restci' is not to be found in PATH (/usr/bin:/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/sbin), no hook was run\n",
      ]);
      assert.deepEqual(wrap(made, [plain]), [
        126,
        '',
        `tklbam-hooks: '${plain}' cannot be executed, no hook was run\n`,
      ]);
    });

    test('whatever stands in the way of an attempt, it is in the log, and hooks that ask to hear of it are told', t => {
      const made = stage(t);
      const ears = '#!/bin/sh\n# tklbam-hooks: always\necho "always $2 $TKLBAM_HOOK_ERROR" >>"$RECORD"\n';
      place(made.hooks, 'always', ears);
      const attempts: readonly (readonly [
        status: number,
        error: string,
        args: string[],
        env?: Record<string, string>,
      ])[] = [
        [127, "'/none' is not to be found, no hook was run", ['--', '/none']],
        [126, "'/etc/passwd' cannot be executed, no hook was run", ['--', '/etc/passwd']],
        [
          2,
          "TKLBAM_HOOKS_TIMEOUT: 'soon' is no duration, ",
          ['--', 'true'],
          { TKLBAM_HOOKS_TIMEOUT: 'soon' },
        ],
        [2, "TKLBAM_HOOKS_GRACE: 'soon' is no duration, ", ['--', 'true'], { TKLBAM_HOOKS_GRACE: 'soon' }],
        [2, "--warn-status: 'x' is no exit status", ['--warn-status', 'x', '--', 'true']],
        [2, "'wrap' takes no argument 'true'", ['true']],
      ];
      for (const [status, error, args, env = {}] of attempts) {
        rmSync(made.log, { force: true });
        rmSync(String(made.env.RECORD), { force: true });
        const [ended, stdout, stderr] = ending(
          run(program, ['wrap', 'backup', ...args], { env: { ...made.env, ...env } }),
        );
        assert.deepEqual([ended, stdout], [status, '']);
        assert.ok(stderr.startsWith(`tklbam-hooks: ${error}`), stderr);
        const [told = '', ...more] = made.told();
        assert.deepEqual([told.startsWith(`always error ${error}`), more], [true, []], told);
        const sessions = logged(made).filter(({ type }) => type === 'session');
        assert.deepEqual(
          sessions.map(({ outcome, operation }) => [outcome, operation]),
          [['turned-away', 'backup']],
        );
        assert.ok(String(sessions[0]?.error).startsWith(error));
      }
    });

    test('words that cannot be understood at all are in the log, and no hook is told', t => {
      const made = stage(t);
      place(made.hooks, 'always', '#!/bin/sh\n# tklbam-hooks: always\necho told >>"$RECORD"\n');
      assert.equal(
        run(program, ['wrap', 'backup', '--hokks', '/', '--', 'true'], { env: made.env }).status,
        2,
      );
      assert.deepEqual(
        logged(made).map(({ outcome }) => outcome),
        ['turned-away'],
      );
      assert.deepEqual(made.told(), []);
    });

    test('a hook of pre that fails is told error with those before it, and the command is not run', t => {
      const made = stage(t);
      assert.deepEqual(wrap(made, ['echo', 'never'], { FAIL: 'b pre' }), [
        1,
        '',
        hookError(made, 'b pre', 'non-zero exitcode (3), the hooks after it were not run'),
      ]);
      assert.deepEqual(made.told(), [...states('pre', 'ab'), ...states('error', 'ba')]);
    });

    test('hooks of error are told what went wrong, and which hook it was', t => {
      const made = stage(t, ['b']);
      const saved = join(scratch(t), 'env');
      place(
        made.hooks,
        'a',
        `#!/bin/sh\n[ "$2" != error ] || env | grep -E '^TKLBAM_HOOK_(ERROR|FAILED|STATE|SIM|NAME)' | sort >${saved}\n`,
      );
      wrap(made, ['true'], { FAIL: 'b pre', TKLBAM_HOOK_SIMULATE: 'yes' });
      assert.equal(
        readFileSync(saved, 'utf8'),
        `TKLBAM_HOOK_ERROR=\`${made.hooks}/b backup pre\` non-zero exitcode (3)
TKLBAM_HOOK_FAILED=b
TKLBAM_HOOK_NAME=a
TKLBAM_HOOK_SIMULATE=yes
TKLBAM_HOOK_STATE=error
`,
      );
      wrap(made, ['false']);
      assert.match(
        readFileSync(saved, 'utf8'),
        /^TKLBAM_HOOK_ERROR='false' exited with status 1\nTKLBAM_HOOK_FAILED=\n/,
      );
    });

    test('a status other than 0 in error changes nothing, and stays owed', t => {
      const made = stage(t);
      assert.deepEqual(wrap(made, ['false'], { FAIL: 'b error' }), [
        1,
        '',
        `tklbam-hooks: 'false' exited with status 1\ntklbam-hooks: '${made.hooks}/b backup error' non-zero exitcode (3) (attempt 1 of 3), ${AGAIN}`,
      ]);
      assert.deepEqual(made.told(), [...states('pre', 'abc'), ...states('error', 'cba')]);
      assert.deepEqual(
        files(made).map(name => name.replace(/^scratch-.*/, 'scratch')),
        ['backup.json', 'scratch'],
      );
    });

    test('each hook of error has its own time limit', t => {
      const made = stage(t, ['a', 'c']);
      place(made.hooks, 'b', '#!/bin/sh\n# tklbam-hooks: timeout=1s\n[ "$2" != error ] || exec sleep 600\n');
      const [status, , stderr] = wrap(made, ['false']);
      assert.equal(status, 1);
      assert.match(
        stderr,
        /b backup error' timed out after 1s \(attempt 1 of 3\), it is told again by the next session/,
      );
      assert.deepEqual(made.told(), [...states('pre', 'ac'), ...states('error', 'ca')]);
    });

    test('post that fails: the others ran, then error', t => {
      const made = stage(t);
      assert.deepEqual(wrap(made, ['true'], { FAIL: 'b post' }), [
        1,
        '',
        hookError(made, 'b post', 'non-zero exitcode (3)'),
      ]);
      assert.deepEqual(made.told(), [
        ...states('pre', 'abc'),
        ...states('post', 'cba'),
        ...states('error', 'cba'),
      ]);
    });

    test('a hook that exits 75 in pre says: not now', t => {
      const made = stage(t);
      assert.deepEqual(wrap(made, ['echo', 'never'], { FAIL: 'b pre', STATUS: '75' }), [
        75,
        '',
        hookError(made, 'b pre', 'non-zero exitcode (75), the hooks after it were not run') +
          "tklbam-hooks: not now (status 75), 'echo' was not run\n",
      ]);
      assert.deepEqual(made.told(), [...states('pre', 'ab'), ...states('error', 'ba')]);
      assert.equal(wrap(made, ['true'], { FAIL: 'b post', STATUS: '75' })[0], 1);
    });

    test('a refused hook: nothing runs, nobody is told, status 3', t => {
      const made = stage(t);
      chmodSync(join(made.hooks, 'c'), 0o777);
      assert.equal(wrap(made, ['echo', 'never'])[0], 3);
      assert.deepEqual(made.told(), []);
      assert.deepEqual(files(made), []);
    });

    test('--inspect runs those hooks too, in its directory', t => {
      const made = stage(t, []);
      install(made.hooks, 'record');
      const extras = scratch(t);
      const args = ['wrap', 'restore', '--inspect', extras, '--', 'true'];
      assert.deepEqual(ending(run(program, args, { env: made.env })), [0, '', '']);
      assert.deepEqual(made.told(), [
        'record restore pre /',
        `record restore inspect ${extras}`,
        'record restore post /',
      ]);
      const wrong = ['wrap', 'restore', '--inspect', '/nonexistent', '--', 'echo', 'never'];
      assert.deepEqual(ending(run(program, wrong, { env: made.env })), [
        1,
        '',
        "tklbam-hooks: --inspect '/nonexistent' is not a directory, 'echo' was not run\n",
      ]);
      assert.deepEqual(made.told().slice(3), ['record restore pre /', 'record restore error /']);
    });

    if (isRoot) {
      test('the directories of wrap and of inspect can be unmounted in error', t => {
        const made = stage(t, []);
        const directory = join(scratch(t), 'mounted');
        mkdirSync(directory);
        place(made.hooks, 'a', '#!/bin/sh\n[ "$2" != error ] || umount "$MOUNTED"\n');
        const script = 'mount -t tmpfs none "$MOUNTED" && cd "$MOUNTED" && exec "$@"';
        const words = [...program.command, 'wrap', 'backup', '--inspect', directory, '--', 'false'];
        // In a chroot, whose root need not be a mount, the namespace around it is a private one already.
        const isMount = spawnSync('unshare', ['-m', 'true']).status === 0;
        const apart = isMount ? ['-m'] : ['-m', '--propagation', 'unchanged'];
        const { status, stderr } = spawnSync('unshare', [...apart, 'sh', '-c', script, 'sh', ...words], {
          encoding: 'utf8',
          env: { ...plainEnvironment, ...made.env, MOUNTED: directory },
        });
        assert.deepEqual([status, stderr], [1, "tklbam-hooks: 'false' exited with status 1\n"]);
        assert.deepEqual(files(made), []);
      });
    }

    test('what it is called with wrongly is said, and nothing runs', t => {
      const made = stage(t);
      const wrong = (...args: string[]) => ending(run(program, args, { env: made.env }))[2].split('\n')[0];
      assert.equal(
        wrong('wrap'),
        "tklbam-hooks: 'wrap' needs OPERATION -- COMMAND [ARG]..., and OPERATION is missing",
      );
      assert.equal(wrong('wrap', 'backup'), "tklbam-hooks: 'wrap' needs -- COMMAND, and COMMAND is missing");
      assert.equal(
        wrong('wrap', 'backup', 'restic', 'backup'),
        "tklbam-hooks: 'wrap' takes no argument 'restic', COMMAND follows after --",
      );
      assert.equal(
        wrong('session', 'backup'),
        "tklbam-hooks: 'session' needs --control FD; see tklbam-hooks-protocol(7)",
      );
      assert.equal(
        wrong('session', 'backup', '--control', 'x'),
        "tklbam-hooks: --control: 'x' is no file descriptor",
      );
      assert.equal(
        wrong('session', 'backup', '--control', '9'),
        'tklbam-hooks: --control 9 is not a connected stream socket',
      );
      assert.equal(wrong('session', '--ahead'), "tklbam-hooks: --ahead: '' is no file descriptor");
      assert.equal(wrong('session', '--ahead', 'x'), "tklbam-hooks: --ahead: 'x' is no file descriptor");
      assert.equal(
        wrong('session', '--ahead', '9'),
        'tklbam-hooks: --ahead 9 is not a connected stream socket',
      );
      const words = [...program.command, 'session', 'backup', '--control', '4'];
      const notSocket = {
        name: 'sh',
        command: ['sh', '-c', 'exec "$@" 4</dev/null', 'sh', ...words],
      } as const;
      assert.match(
        run(notSocket, []).stderr,
        /^tklbam-hooks: --control 4 is not a connected stream socket\n/,
      );
      assert.equal(
        wrong('recover', 'backup'),
        "tklbam-hooks: 'recover' takes an OPERATION only with --forget",
      );
      assert.deepEqual(made.told(), []);
    });

    test('signals reach the command', async t => {
      const made = stage(t, ['a']);
      for (const signal of ['TERM', 'INT', 'USR2', 'QUIT', 'ALRM', 'PWR'] as const) {
        const script = `trap 'echo got ${signal}; exit 9' ${signal}; echo ready; while :; do sleep 0.1; done`;
        const running = start(t, [...program.command, 'wrap', 'backup', '--', 'sh', '-c', script], made.env);
        await running.says('ready');
        running.child.kill(`SIG${signal}`);
        const [status, stderr] = await running.ended;
        // Of a signal that ends a run it dies itself, so that a loop of the caller's ends too.
        const expected = signal === 'TERM' || signal === 'INT' ? `SIG${signal}` : 9;
        assert.deepEqual([status, running.stdout()], [expected, `ready\ngot ${signal}\n`], stderr);
      }
      assert.deepEqual(made.told().slice(-2), ['a pre', 'a error']);
    });

    test('a signal in pre ends the hook and the run; error is told', async t => {
      const made = stage(t, ['a', 'c']);
      install(made.hooks, 'sleep', 'b');
      const running = start(t, [...program.command, 'wrap', 'backup', '--', 'echo', 'never'], {
        ...made.env,
        FAIL: 'c error',
      });
      await running.says('ready');
      // b sleeps in error too.
      place(made.hooks, 'b', '#!/bin/sh\necho "b $2" >>"$RECORD"\n');
      running.child.kill('SIGTERM');
      const [status, stderr] = await running.ended;
      assert.equal(status, 'SIGTERM');
      assert.equal(
        stderr.replace('ready\n', ''),
        hookError(made, 'b pre', 'interrupted by signal SIGTERM, the hooks after it were not run'),
      );
      assert.deepEqual(made.told(), ['a pre', 'b error', 'a error']);
      assert.deepEqual(survivors(running), []);
    });

    test('no signal cuts error short', async t => {
      const made = stage(t, ['a']);
      place(made.hooks, 'b', `#!/bin/sh\n[ "$2" != error ] || { ${WAIT}; echo "b $2" >>"$RECORD"; }\n`);
      const running = start(t, [...program.command, 'wrap', 'backup', '--', 'false'], made.env);
      await running.says('ready');
      for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGINT'] as const) running.child.kill(signal);
      await settled(running.child.pid);
      letGo(made);
      assert.match(String((await running.ended)[0]), /^SIG(?:TERM|INT)$/);
      assert.deepEqual(made.told(), ['a pre', 'b error', 'a error']);
    });

    test('hooks of error come to their end with nobody to read what they say', async t => {
      const made = stage(t, []);
      place(made.hooks, 'a', TALKS);
      // A pipe whose reader is gone, both closed, and a socket of which the other end is.
      const command = [...program.command, 'wrap backup -- false'].join(' ');
      const whenGone = 'while [ ! -e "$RECORD.go" ]; do sleep 0.02; done';
      const goes = '{ exec <&-; : >"$RECORD.go"; }';
      for (const shell of [
        `{ ${whenGone}; ${command}; } 2>&1 | ${goes}`,
        `{ ${whenGone}; ${command} 2>/dev/null; } | ${goes}`,
        `${command} >&- 2>&-`,
      ]) {
        for (const file of [made.env.RECORD, `${made.env.RECORD}.go`]) rmSync(file ?? '', { force: true });
        spawnSync('sh', ['-c', shell], { env: { ...plainEnvironment, ...made.env }, cwd: '/' });
        await until('a hook is told', () => made.told().length > 0);
        assert.deepEqual(made.told(), ['a error'], shell);
      }
      for (const file of [made.env.RECORD, `${made.env.RECORD}.go`]) rmSync(file ?? '', { force: true });
      const [file, ...args] = program.command;
      const child = spawn(file, [...args, 'wrap', 'backup', '--', 'sh', '-c', `${whenGone}; exit 1`], {
        env: { ...plainEnvironment, ...made.env },
        stdio: ['ignore', 'pipe', 'pipe'],
        cwd: '/',
      });
      const over = once(child, 'exit');
      await Promise.all([child.stdout, child.stderr].map(stream => once(stream.destroy(), 'close')));
      letGo(made);
      await over;
      assert.deepEqual(made.told(), ['a error']);
    });

    test('and with a terminal that is gone', async t => {
      const made = stage(t, []);
      place(made.hooks, 'a', TALKS);
      const helper = join(repository, 'test/support/on-terminal.py');
      const actions = JSON.stringify([['expect', 'ready'], ['hangup']]);
      const command = [...program.command, 'wrap', 'backup', '--', 'sh', '-c', 'echo ready; sleep 600'];
      const running = start(t, ['python3', helper, actions, ...command], made.env);
      await running.ended;
      assert.equal(JSON.parse(running.stdout()).status, -1);
      assert.deepEqual(made.told(), ['a error']);
      assert.deepEqual(files(made), []);
    });
  });

  describe(`${program.name}: the record`, { concurrency: 4 }, () => {
    /** A session whose guardian is killed with -9 after pre. */
    const cutOff = (made: Stage, env: Record<string, string> = {}): void => {
      assert.equal(
        run(program, ['wrap', 'backup', '--', 'sh', '-c', 'kill -9 $PPID'], { env: { ...made.env, ...env } })
          .signal,
        'SIGKILL',
      );
    };

    test('is there before the first hook, for root alone, and holds no environment', t => {
      const made = stage(t, []);
      place(
        made.hooks,
        'a',
        '#!/bin/sh\n[ "$2" != pre ] || { cd "$TKLBAM_HOOKS_STATE"/sessions; cat backup.json; stat -c %a .. . *; } >&2\n',
      );
      const [, , stderr] = wrap(made, ['true'], { SECRET: 'hunter2', TKLBAM_HOOK_RESUME: 'yes' });
      const [first = '', second = '', ...modes] = stderr.split('\n');
      const line = `${first}\n${second}\n`;
      const [record] = sessionsIn(line);
      assert.ok(record !== undefined);
      assert.deepEqual(modes.slice(0, 2), ['711', '700']);
      // The scratch directory is one of them.
      assert.deepEqual(modes.slice(2).sort(), ['', '600', '600', '600', '600', '700']);
      assert.deepEqual(record.started, [{ path: join(made.hooks, 'a'), attempts: 0, isSettled: false }]);
      assert.deepEqual(record.carriedEnv, { TKLBAM_HOOK_RESUME: 'yes' });
      assert.equal(record.caller.pid, process.pid);
      assert.ok((record.guardian.start ?? 0) > 0);
      assert.ok(!line.includes('hunter2'));
    });

    test('that cannot be written: no hook runs', t => {
      const made = stage(t);
      const file = join(scratch(t), 'file');
      writeFileSync(file, '');
      const state = join(file, 'state');
      assert.deepEqual(wrap(made, ['echo', 'never'], { TKLBAM_HOOKS_STATE: state }), [
        1,
        '',
        `HookError: cannot record the session in '${state}': not a directory (ENOTDIR), no hook was run\n`,
      ]);
      const [status, , stderr] = wrap(made, ['echo', 'never'], { TKLBAM_HOOKS_STATE: '/proc/state' });
      assert.equal(status, 1);
      assert.match(stderr, /^HookError: cannot record the session in '\/proc\/state': /);
      assert.deepEqual(made.told(), []);
    });

    test('a hook that could not be started is not in it', t => {
      const made = stage(t, ['a', 'c']);
      place(made.hooks, 'b', '#!/bin/sh\necho "b $2" >>"$RECORD"\n[ "$2" != pre ] || rm "$TKLBAM_HOOKS/c"\n');
      const [status, , stderr] = wrap(made, ['echo', 'never']);
      assert.equal(status, 1);
      assert.match(stderr, /^HookError: `\S+\/c backup pre` could not be started: .*\n$/);
      assert.deepEqual(made.told(), ['a pre', 'b pre', 'b error', 'a error']);
    });

    test('hooks of error run in / where the directory is gone', t => {
      const made = stage(t, []);
      place(made.hooks, 'a', '#!/bin/sh\necho "$2 $PWD" >>"$RECORD"\n');
      const cwd = scratch(t);
      const args = ['wrap', 'backup', '--', 'sh', '-c', 'rmdir "$PWD"; exit 7'];
      assert.equal(run(program, args, { env: made.env, cwd }).status, 7);
      assert.deepEqual(made.told(), [`pre ${cwd}`, 'error /']);
    });

    if (isRoot) {
      test('on a full disk: no hook runs; after one that fills it, those start that the record has room for', async t => {
        let isMounted = false;
        t.after(() => isMounted && execFileSync('umount', [made.state]));
        const made = stage(t);
        mkdirSync(made.state);
        execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k,mode=700', 'none', made.state]);
        isMounted = true;
        const fill = 'cat /dev/zero >"$TKLBAM_HOOKS_STATE/fill" 2>/dev/null';
        place(made.hooks, 'b', `#!/bin/sh\necho "b $2" >>"$RECORD"\n[ "$2" != pre ] || { ${fill}; :; }\n`);
        // The page that the record is in has room for some.
        for (let i = 0; i < 40; i++)
          place(made.hooks, `d${'d'.repeat(200)}${i + 10}`, '#!/bin/sh\necho "d $2" >>"$RECORD"\n');
        const [status, stdout, stderr] = wrap(made, ['echo', 'never']);
        assert.deepEqual([status, stdout], [1, '']);
        assert.match(
          stderr,
          /^HookError: `\S+\/d+\d\d backup pre` could not be started: that it starts cannot be recorded: no space left on the device \(ENOSPC\) \(see to the state directory, \/var\/lib\/tklbam-hooks by default\), the hooks after it were not run\n/,
        );
        assert.equal(stderr.split('cannot bring up to date').length, 2, stderr);
        const started = made
          .told()
          .filter(each => each.endsWith('pre'))
          .map(each => each.replace(' pre', ''));
        assert.ok(started.length < 40, stderr);
        assert.deepEqual(made.told(), [
          ...started.map(each => `${each} pre`),
          ...started.toReversed().map(each => `${each} error`),
        ]);
        assert.deepEqual(
          readdirSync(made.state)
            .filter(name => name !== 'status.json')
            .sort(),
          ['fill', 'sessions'],
        );
        assert.deepEqual(files(made), []);
        const [again, , text] = wrap(made, ['echo', 'never']);
        assert.equal(again, 1);
        assert.match(text, /^HookError: .*: no space left on the device \(ENOSPC\)/);
        assert.equal(made.told().length, 2 * started.length);
      });
    }

    if (isRoot) {
      test('a state directory that a stranger can write to is not used, nor is a log there', t => {
        const made = stage(t, ['a']);
        cutOff(made);
        const record = readFileSync(join(made.state, 'sessions/backup.json'), 'utf8');
        for (const path of [made.state, join(made.state, 'sessions')]) {
          chownSync(path, 64_999, 64_999);
          const [status, stdout, stderr] = wrap(made, ['echo', 'never']);
          assert.deepEqual([status, stdout], [1, '']);
          assert.match(
            stderr,
            /^HookError: cannot record the session in '\S+': '\S+' belongs to user 64999, no hook was run\n$/,
          );
          const [recovered, , text] = recover(made);
          assert.equal(recovered, 1);
          assert.match(
            text,
            /^tklbam-hooks: not using the records in '\S+': '\S+' belongs to user 64999 \(it must be root's alone\)\n$/,
          );
          chownSync(path, 0, 0);
        }
        assert.equal(readFileSync(join(made.state, 'sessions/backup.json'), 'utf8'), record);
        chownSync(join(made.state, 'sessions/backup.json'), 64_999, 64_999);
        assert.match(recover(made)[2], /cannot be understood, keeping it as/);
        assert.deepEqual(made.told(), ['a pre']);
        const shared = join(scratch(t), 'shared');
        mkdirSync(shared);
        chmodSync(shared, 0o777);
        const log = join(shared, 'log');
        assert.match(
          wrap(made, ['true'], { TKLBAM_HOOKS_LOG: log })[2],
          /^tklbam-hooks: cannot write the log '\S+' \('\S+' is writable by everybody\)/,
        );
        assert.ok(!existsSync(log));
      });
    }

    test('a record, a half-saved one or a lock that is a link is not followed', t => {
      const made = stage(t, ['a']);
      const sessions = join(made.state, 'sessions');
      mkdirSync(sessions, { recursive: true, mode: 0o700 });
      const target = join(scratch(t), 'target');
      writeFileSync(target, 'precious');
      for (const name of ['backup.json.new', 'backup.json']) {
        symlinkSync(target, join(sessions, name));
        wrap(made, ['true']);
        assert.equal(readFileSync(target, 'utf8'), 'precious', name);
        rmSync(join(sessions, name), { force: true });
      }
      symlinkSync(target, join(sessions, 'backup.lock'));
      assert.match(
        wrap(made, ['true'])[2],
        /^HookError: cannot record the session in '\S+': too many links \(ELOOP\)/,
      );
      assert.equal(readFileSync(target, 'utf8'), 'precious');
    });

    // It, the shell that started it, and both.
    for (const pids of ['$each', '$child', '$child $each'])
      test(`a signal that hits flock(1) does not lose the lock: ${pids}`, async t => {
        const made = stage(t, ['a']);
        const running = await hold(t, made);
        const script = `"$@" & pid=$!
while kill -0 $pid; do
  for child in $(cat /proc/$pid/task/$pid/children); do
    for each in $(cat /proc/$child/task/$child/children); do
      [ "$(cat /proc/$each/comm)" != flock ] || { kill $WHOM; echo killed; break 3; }
    done
  done
  sleep 0.02
done
wait $pid`;
        const args = [
          '-c',
          script.replace('$WHOM', pids),
          'sh',
          ...program.command,
          'wrap',
          'backup',
          '--',
          'echo',
          'never',
        ];
        const env = { ...plainEnvironment, ...made.env };
        const { status, stdout, stderr } = spawnSync('sh', args, { env, encoding: 'utf8', cwd: '/' });
        assert.deepEqual([status, stdout], [75, 'killed\n']);
        assert.match(stderr, /^HookError: another session is running: the backup 'sh', /m);
        running.child.kill('SIGTERM');
        await running.ended;
        assert.deepEqual(files(made), []);
      });

    test('a second session is turned away, of whatever operation, unless it is to wait', async t => {
      const made = stage(t, ['a']);
      const running = await hold(t, made);
      const [status, stdout, stderr] = wrap(made, ['echo', 'never']);
      assert.deepEqual([status, stdout], [75, '']);
      const since = '\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d';
      assert.match(
        stderr,
        new RegExp(
          `^HookError: another session is running: the backup 'sh', pid ${running.child.pid}, since ${since}, called by '[^']+' \\(pid ${process.pid}\\); no hook was run\n$`,
        ),
      );
      assert.equal(run(program, ['wrap', 'restore', '--', 'true'], { env: made.env }).status, 75);
      assert.deepEqual(recover(made), [0, '', '']);
      assert.deepEqual(made.told(), ['a pre']);
      assert.match(
        run(program, ['status'], { env: made.env }).stdout,
        /^backup: running \('sh'\), pid \d+, since .*, called by/,
      );
      const waiting = start(
        t,
        [...program.command, 'wrap', 'restore', '--wait', '--', 'echo', 'at last'],
        made.env,
      );
      await waiting.says("waiting for another session: the backup 'sh', pid");
      running.child.kill('SIGTERM');
      assert.equal((await running.ended)[0], 'SIGTERM');
      assert.equal((await waiting.ended)[0], 0);
      assert.deepEqual(made.told(), ['a pre', 'a error', 'a pre', 'a post']);
      assert.deepEqual(files(made), []);
    });

    test('of a killed guardian: recover tells error, once', t => {
      const made = stage(t);
      cutOff(made, { TKLBAM_HOOK_SIMULATE: 'yes' });
      assert.ok(files(made).includes('backup.json'));
      assert.deepEqual(recover(made, ['--dry-run']), [
        0,
        ['c', 'b', 'a'].map(name => `${made.hooks}/${name} backup error\n`).join(''),
        '',
      ]);
      assert.deepEqual(made.told(), states('pre', 'abc'));
      place(
        made.hooks,
        'b',
        '#!/bin/sh\necho "b $2, $PWD, $TKLBAM_HOOK_SIMULATE, $TKLBAM_HOOK_ERROR" >>"$RECORD"\n',
      );
      const [status, stdout, stderr] = recover(made);
      assert.deepEqual([status, stdout], [0, '']);
      assert.match(
        stderr,
        /^tklbam-hooks: the backup of [-0-9]+ [:0-9]+ was cut off when its guardian \(pid \d+\) was killed \(while 'sh' ran\): telling its hooks\n$/,
      );
      const [c, b = '', a] = made.told().slice(3);
      assert.deepEqual([c, a], ['c error', 'a error']);
      assert.match(
        b,
        /^b error, \/, yes, the backup was cut off when its guardian \(pid \d+\) was killed \(while 'sh' ran\)$/,
      );
      assert.deepEqual(files(made), []);
      assert.deepEqual(recover(made), [0, '', '']);
    });

    test('of a killed guardian: the next session does it first', t => {
      const made = stage(t);
      cutOff(made);
      const [status, , stderr] = ending(run(program, ['wrap', 'restore', '--', 'true'], { env: made.env }));
      assert.equal(status, 0);
      assert.match(stderr, /^tklbam-hooks: the backup of .*: telling its hooks\n$/);
      assert.deepEqual(made.told(), [
        ...states('pre', 'abc'),
        ...states('error', 'cba'),
        ...states('pre', 'abc'),
        ...states('post', 'cba'),
      ]);
      assert.deepEqual(files(made), []);
    });

    test('whose pid another process has now is that of a dead guardian', t => {
      const made = stage(t, ['a']);
      cutOff(made);
      const path = join(made.state, 'sessions/backup.json');
      edit(path, record => ({ ...record, guardian: { ...record.guardian, pid: process.pid } }));
      assert.match(run(program, ['status'], { env: made.env }).stdout, /^backup: CUT OFF \(/);
      assert.equal(wrap(made, ['true'])[0], 0);
      assert.deepEqual(made.told(), ['a pre', 'a error', 'a pre', 'a post']);
    });

    test('of an earlier boot: the machine went down', t => {
      const made = stage(t, ['a']);
      cutOff(made);
      const path = join(made.state, 'sessions/backup.json');
      edit(path, record => ({ ...record, guardian: { ...record.guardian, boot: 'earlier' } }));
      assert.match(
        recover(made)[2],
        /was cut off when the machine went down \(while 'sh' ran\): telling its hooks\n$/,
      );
      assert.deepEqual(made.told(), ['a pre', 'a error']);
    });

    for (const garbage of ['', '{"session":', '[]', '{"operation":"backup"}']) {
      test(`that cannot be understood is set aside: ${garbage}`, t => {
        const made = stage(t, ['a']);
        mkdirSync(join(made.state, 'sessions'), { recursive: true, mode: 0o700 });
        writeFileSync(join(made.state, 'sessions/backup.json'), garbage, { mode: 0o600 });
        assert.deepEqual(recover(made), [
          0,
          '',
          `tklbam-hooks: the record of a backup session cannot be understood, keeping it as '${made.state}/sessions/backup.json.bad'; what its hooks stopped may still be stopped\n`,
        ]);
        assert.deepEqual(files(made), ['backup.json.bad']);
        assert.equal(wrap(made, ['true'])[0], 0);
      });
    }

    test('a hook that still runs although its guardian was killed is ended first', async t => {
      const made = stage(t, ['b']);
      place(
        made.hooks,
        'a',
        '#!/bin/sh\necho "a $2" >>"$RECORD"\n[ "$2" != pre ] || { echo ready; sleep 600; }\n',
      );
      const running = start(t, [...program.command, 'wrap', 'backup', '--', 'true'], made.env);
      await running.says('ready');
      running.child.kill('SIGKILL');
      await running.ended;
      assert.ok(survivors(running).length > 0);
      assert.equal(recover(made)[0], 0);
      assert.deepEqual(survivors(running), []);
      assert.deepEqual(made.told(), ['a pre', 'a error']);
    });

    test('a daemon that a successful hook left is not ended', async t => {
      const made = stage(t, []);
      place(made.hooks, 'a', '#!/bin/sh\n[ "$2" != pre ] || setsid sleep 600 &\n');
      const running = start(
        t,
        [...program.command, 'wrap', 'backup', '--', 'sh', '-c', 'kill -9 $PPID'],
        made.env,
      );
      await running.ended;
      assert.equal(recover(made)[0], 0);
      assert.equal(survivors(running).length, 1);
    });

    test('a hook that is gone, switched off or refused cannot be told, and is named', t => {
      const made = stage(t, ['a', 'b', 'c', 'd']);
      cutOff(made);
      rmSync(join(made.hooks, 'a'));
      chmodSync(join(made.hooks, 'b'), 0o644);
      chmodSync(join(made.hooks, 'c'), 0o777);
      const [status, , stderr] = recover(made);
      assert.equal(status, 1);
      const untold = (name: string): string =>
        `tklbam-hooks: '${made.hooks}/${name}' was started, and cannot be told what went wrong: `;
      assert.deepEqual(stderr.split('\n').slice(1), [
        `${untold('c')}it is writable by everybody (chmod go-w it, or chmod -x it to disable it); it stays owed`,
        `${untold('b')}it is not executable (chmod +x enables it); it stays owed`,
        `${untold('a')}it is not there; it stays owed`,
        '',
      ]);
      assert.deepEqual(made.told().slice(4), ['d error']);
      assert.deepEqual(
        files(made).map(name => name.replace(/^scratch-.*/, 'scratch')),
        ['backup.json', 'scratch'],
      );
    });

    test('recover that is ended by a signal leaves the rest for the next', async t => {
      const made = stage(t, ['a', 'c']);
      place(made.hooks, 'b', '#!/bin/sh\n[ "$2" != error ] || { echo ready; exec sleep 600; }\n');
      cutOff(made);
      const running = start(t, [...program.command, 'recover'], made.env);
      await running.says('ready');
      running.child.kill('SIGTERM');
      assert.equal((await running.ended)[0], 'SIGTERM');
      assert.deepEqual(made.told().slice(2), ['c error']);
      place(made.hooks, 'b', '#!/bin/sh\necho "b $2" >>"$RECORD"\n');
      assert.equal(recover(made)[0], 0);
      assert.deepEqual(made.told().slice(2), ['c error', 'b error', 'a error']);
    });

    test('what changed in hooks.d since pre is said; what was started and is gone is a failure of post', t => {
      const made = stage(t, ['a', 'b', 'c']);
      const script =
        'cd "$TKLBAM_HOOKS"; rm a; echo "# more" >>b; cp -p b d; touch -r /etc/passwd c.conf; touch -d 2001-01-01 c';
      const [status, , stderr] = wrap(made, ['sh', '-c', script]);
      assert.equal(status, 1);
      const changed = (name: string, what: string): string =>
        `tklbam-hooks: '${made.hooks}/${name}' ${what} since pre`;
      assert.deepEqual(stderr.split('\n'), [
        changed('d', 'came, or was switched on,'),
        changed('c', 'was changed'),
        changed('b', 'was changed'),
        `HookError: \`${made.hooks}/a backup post\` could not be started: it is gone since it was started, what it stopped may still be stopped (bring it back, then: tklbam-hooks recover)`,
        `tklbam-hooks: '${made.hooks}/a' was started, and cannot be told what went wrong: it is not there; it stays owed`,
        '',
      ]);
      assert.deepEqual(made.told(), [
        ...states('pre', 'abc'),
        ...states('post', 'dcb'),
        ...states('error', 'dcb'),
      ]);
    });
  });

  describe(`${program.name}: log and status`, { concurrency: 4 }, () => {
    test('a line for each hook and one for the session, for root alone', t => {
      const made = stage(t, ['a', 'b']);
      wrap(made, ['true'], { FAIL: 'b post', SECRET: 'hunter2' });
      const lines = logged(made);
      assert.deepEqual(
        lines.map(({ type, hook, state, outcome, status }) => [type, hook, state, outcome, status]),
        [
          ['hook', 'a', 'pre', 'succeeded', 0],
          ['hook', 'b', 'pre', 'succeeded', 0],
          ['hook', 'b', 'post', 'failed', 3],
          ['hook', 'a', 'post', 'succeeded', 0],
          ['hook', 'b', 'error', 'succeeded', 0],
          ['hook', 'a', 'error', 'succeeded', 0],
          ['session', undefined, undefined, 'failed', undefined],
        ],
      );
      assert.equal(lines.at(-1)?.error, `\`${made.hooks}/b backup post\` non-zero exitcode (3)`);
      assert.equal(new Set(lines.map(({ session }) => session)).size, 1);
      assert.equal(statSync(made.log).mode & 0o777, 0o600);
      assert.ok(!readFileSync(made.log, 'utf8').includes('hunter2'));
    });

    test('a log that cannot be written is a warning, once', t => {
      const made = stage(t);
      const [status, , stderr] = wrap(made, ['true'], { TKLBAM_HOOKS_LOG: '/nonexistent/log' });
      assert.equal(status, 0);
      assert.equal(
        stderr,
        "tklbam-hooks: cannot write the log '/nonexistent/log' (ENOENT), going on without it\n",
      );
      const target = join(scratch(t), 'target');
      symlinkSync(target, made.log);
      assert.match(wrap(made, ['true'])[2], /\(ELOOP\)/);
      assert.ok(!existsSync(target));
    });

    test('status shows the last of each operation, also from the log before', t => {
      const made = stage(t, ['a']);
      const status = (...args: string[]) => ending(run(program, ['status', ...args], { env: made.env }));
      assert.deepEqual(status(), [0, 'No backup or restore is running, and none is in the log.\n', '']);
      wrap(made, ['false']);
      renameSync(made.log, `${made.log}.1`);
      // As a power cut and a full disk leave it.
      writeFileSync(made.log, '\0\0{"type":"ho', { mode: 0o600 });
      run(program, ['wrap', 'restore', '--', 'true'], { env: made.env });
      writeFileSync(made.log, '{"type":"se', { flag: 'a' });
      const time = '\\d+ (?:s|min) ago \\(\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d\\), took \\d+ s';
      assert.match(
        status()[1],
        new RegExp(
          `^backup: FAILED, ${time}\n {2}'false' exited with status 1\n {2}the last good one: none is known\n {2}see what 'false' said: .*\nrestore: good, ${time}\n\nThe hooks of the backup of .*:\n {2}a .*\n\nThe hooks of the restore of .*:\n {2}a .*\n$`,
        ),
      );
      const { sessions, last } = JSON.parse(status('--json')[1]);
      assert.deepEqual(sessions, []);
      assert.deepEqual(
        last.map((each: { operation: string; outcome: string; hooks: unknown[] }) => [
          each.operation,
          each.outcome,
          each.hooks.length,
        ]),
        [
          ['backup', 'failed', 2],
          ['restore', 'succeeded', 2],
        ],
      );
    });

    test('status reads what logrotate put away, also by date and compressed', t => {
      const made = stage(t, ['a']);
      wrap(made, ['false']);
      for (const [name, tool] of [
        ['-20261101', undefined],
        ['.2.gz', 'gzip'],
      ] as const) {
        renameSync(made.log, `${made.log}${name.replace('.gz', '')}`);
        if (tool !== undefined) execFileSync(tool, [`${made.log}.2`]);
        assert.match(run(program, ['status'], { env: made.env }).stdout, /^backup: FAILED, /);
        for (const each of readdirSync(join(made.log, '..')))
          if (each.startsWith('log')) rmSync(join(made.log, '..', each));
        wrap(made, ['false']);
      }
    });

    test('why a hook failed is in log and status, and was passed through', t => {
      const made = stage(t, ['a']);
      const script = `#!/bin/sh
[ "$2" = pre ] || exit 0
echo "a secret no more"
seq 2000 >&2
printf 'disk \\033[31mfull\\n' >/dev/stderr
exit 4
`;
      place(made.hooks, 'b', script);
      const [status, stdout, stderr] = wrap(made, ['true']);
      assert.deepEqual([status, stdout], [1, '']);
      assert.match(stderr, /^1\n2\n3\n/m);
      assert.ok(stderr.includes('disk \x1b[31mfull\n'));
      const { output } = logged(made).find(({ hook, state }) => hook === 'b' && state === 'pre') ?? {};
      assert.match(String(output), /^\d+\n(?:\d+\n)+2000\ndisk \\x1b\[31mfull$/);
      assert.ok(String(output).length <= 4096);
      assert.match(
        run(program, ['status'], { env: made.env }).stdout,
        /^! b .* pre: exit status 4\n(?: {6}\| \d+\n)+ {6}\| disk \\x1b\[31mfull\n/m,
      );
      rmSync(made.log);
      wrap(made, ['true'], { TKLBAM_HOOKS_KEEP_OUTPUT: 'no' });
      assert.ok(logged(made).every(entry => entry.output === undefined));
      assert.deepEqual(files(made), []);
    });

    test('a daemon that a hook left writes on when the session is over', async t => {
      const made = stage(t, []);
      const daemon = `#!/bin/sh
[ "$2" = pre ] || exit 0
(while [ ! -e "$RECORD.go" ]; do sleep 0.05; done; echo later >&2; echo alive >>"$RECORD") &
`;
      place(made.hooks, 'a', daemon);
      const running = start(t, [...program.command, 'wrap', 'backup', '--', 'true'], made.env);
      await running.ended;
      letGo(made);
      await until('the daemon has written', () => made.told().includes('alive'));
      await running.says('later').catch(() => undefined);
    });

    test('where there can be no records, status and recover say so', t => {
      const made = stage(t);
      writeFileSync(made.state, '');
      const says = (call: string): [number, string, string] => [
        1,
        '',
        `tklbam-hooks: cannot ${call} '${made.state}/sessions/backup.json': not a directory (ENOTDIR)\n`,
      ];
      assert.deepEqual(ending(run(program, ['status'], { env: made.env })), says('open'));
      assert.deepEqual(recover(made), says('lstat'));
      assert.deepEqual(recover(made, ['--dry-run']), says('open'));
    });

    if (isRoot && program.name === 'executable') {
      test('a user who may not look at the records is told so', t => {
        const script = `
          mount -t tmpfs -o mode=755 none /mnt && touch /mnt/program && mount --bind "$1" /mnt/program || exit 99
          mkdir -m 700 /mnt/state && mkdir /mnt/state/sessions && shift || exit 98
          exec setpriv --reuid=65534 --regid=65534 --clear-groups /mnt/program "$@"`;
        const env = {
          ...plainEnvironment,
          TKLBAM_HOOKS_STATE: '/mnt/state',
          TKLBAM_HOOKS_LOG: '/mnt/state/log',
        };
        for (const words of ['status', 'status --json', 'recover', 'recover --dry-run', 'recover --forget']) {
          // Below no directory that is closed to others.
          const args = ['-m', 'sh', '-c', script, 'sh', ...program.command, ...words.split(' ')];
          const { status, stdout, stderr } = spawnSync('unshare', args, {
            encoding: 'utf8',
            env,
            cwd: scratch(t),
          });
          assert.deepEqual([status, stdout], [1, ''], stderr);
          assert.match(
            stderr,
            /^tklbam-hooks: cannot (?:open|lstat) '\/mnt\/state\/sessions\/backup\.json': permission denied \(EACCES\) \(run it as root\)\n$/,
          );
        }
      });
    }

    test('status shows a session that was cut off, and what recover will do', t => {
      const made = stage(t, ['a', 'b']);
      run(program, ['wrap', 'backup', '--', 'sh', '-c', 'kill -9 $PPID'], { env: made.env });
      const { stdout } = run(program, ['status'], { env: made.env });
      assert.match(
        stdout,
        /^backup: CUT OFF \(while 'sh' ran\), pid \d+, since .*, called by '.*' \(pid \d+\); 'tklbam-hooks recover' finishes it, and tells these hooks:\n {2}\S+\/b\n {2}\S+\/a\n$/,
      );
      const [session] = JSON.parse(run(program, ['status', '--json'], { env: made.env }).stdout).sessions;
      assert.deepEqual(
        [session.running, session.owed],
        [false, ['b', 'a'].map(name => ({ path: join(made.hooks, name), attempts: 0 }))],
      );
      recover(made);
    });
  });

  for (const isAhead of program === programs.at(-1) ? [false, true] : [false]) {
    describe(`${program.name}: the guardian${isAhead ? ', started ahead' : ''}`, { concurrency: 4 }, () => {
      guardianTests(program, isAhead);
    });
  }
}

interface Guardian {
  readonly child: ChildProcess;
  readonly socket: Socket;
  readonly send: (text: string) => void;
  readonly ask: (state: string, change?: Record<string, unknown>) => Promise<Record<string, unknown>>;
  readonly answer: () => Promise<Record<string, unknown>>;
  readonly output: () => string;
  readonly ended: Promise<number | string | null>;
}

/** Has a guardian that was started ahead connect to us. */
async function connection(
  words: readonly string[],
  give: (argv: readonly string[]) => boolean,
): Promise<Socket> {
  const name = `tklbam-hooks-test-${process.pid}-${Math.random()}`.replace('.', '-');
  const server = createServer().listen({ path: `\0${name}` });
  await once(server, 'listening');
  give([...words, `@${name}`]);
  const [socket] = await once(server, 'connection');
  server.close();
  return socket;
}

function guardianTests(program: Program, isAhead: boolean): void {
  /** A guardian whose caller is this process. */
  const guardian = async (
    t: TestContext,
    made: Stage,
    env: Record<string, string> = {},
  ): Promise<Guardian> => {
    const [file, ...args] = program.command;
    const environment = { ...plainEnvironment, ...made.env, ...env };
    const words = ['session', 'backup', '--control'];
    const child = spawn(file, [...args, ...(isAhead ? ['session', '--ahead'] : words), '3'], {
      cwd: '/',
      env: isAhead ? { ...plainEnvironment, TKLBAM_HOOKS: '/none' } : environment,
      // Node.js makes a pair of stream sockets for each pipe.
      stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    });
    t.after(() => child.kill('SIGKILL'));
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (data: Buffer) => {
        output += data;
      });
    }
    const inherited = child.stdio[3] as Socket;
    const give = (argv: readonly string[]): boolean =>
      inherited.write(`${JSON.stringify({ argv, env: environment, streams: [] })}\n`);
    const socket = isAhead ? await connection(words, give) : inherited;
    let received = '';
    socket.on('data', (data: Buffer) => {
      received += data;
    });
    socket.on('error', () => {});
    const answer = async (): Promise<Record<string, unknown>> => {
      await until('it answers', () => received.includes('\n'));
      const line = received.slice(0, received.indexOf('\n'));
      received = received.slice(line.length + 1);
      return JSON.parse(line);
    };
    const send = (text: string): void => {
      socket.write(text);
    };
    return {
      child,
      socket,
      send,
      ask: (state, change) => {
        send(`${JSON.stringify({ state, cwd: '/', env: environment, ...change })}\n`);
        return answer();
      },
      answer,
      output: () => output,
      ended: new Promise(resolve => {
        child.on('exit', (status, signal) => resolve(status ?? signal));
      }),
    };
  };

  test('answers each state with the results of its hooks, and ends after post', async t => {
    const made = stage(t, ['a', 'b']);
    const { ask, ended } = await guardian(t, made);
    const { status, error, results } = await ask('pre');
    assert.deepEqual([status, error], [0, null]);
    assert.deepEqual(
      (results as Record<string, unknown>[]).map(({ seconds, ...rest }) => [typeof seconds, rest]),
      ['a', 'b'].map(name => [
        'number',
        { name, path: join(made.hooks, name), outcome: 'succeeded', status: 0, signal: null },
      ]),
    );
    assert.equal((await ask('inspect')).status, 0);
    assert.equal((await ask('post')).status, 0);
    assert.equal(await ended, 0);
    assert.deepEqual(made.told(), [
      ...states('pre', 'ab'),
      ...states('inspect', 'ab'),
      ...states('post', 'ba'),
    ]);
    assert.deepEqual(files(made), []);
  });

  test('hooks have the directory and the environment of each request, and no descriptor of it', async t => {
    const made = stage(t, []);
    const saved = join(scratch(t), 'saved');
    place(
      made.hooks,
      'a',
      `#!/bin/sh\necho "$2 $PWD \${NEW-} \${PASSPHRASE-}" >>${saved}\nexec >>${saved}\nls /proc/self/fd\n`,
    );
    const { ask } = await guardian(t, made);
    const extras = scratch(t);
    await ask('pre', { env: { NEW: '1', PASSPHRASE: 'secret' } });
    await ask('inspect', { cwd: extras, env: { NEW: '2' } });
    await ask('post', { env: {} });
    // 3 is the directory, which ls reads.
    const fds = '0\n1\n2\n3\n';
    assert.equal(readFileSync(saved, 'utf8'), `pre / 1 \n${fds}inspect ${extras} 2 \n${fds}post /  \n${fds}`);
  });

  test('bytes that are not UTF-8, lone surrogates in JSON, reach hooks as they are', async t => {
    const made = stage(t, []);
    const directory = join(scratch(t), 'saved');
    mkdirSync(directory);
    const odd = Buffer.from(join(directory, 'caf\xe9'), 'latin1');
    mkdirSync(odd);
    const hook = `#!/bin/sh\nenv -0 >"${directory}/$2"; pwd >>"${directory}/$2"\n[ "$2" != post ]\n`;
    place(made.hooks, 'a', hook);
    const { ask, ended, output } = await guardian(t, made);
    const cwd = join(directory, 'caf\udce9');
    const env = { NAME: 'caf\udce9 \u{1f600}\udc80', UTF8: 'é\ufffd' };
    assert.equal((await ask('pre', { cwd, env })).status, 0);
    assert.equal(
      (await ask('inspect', { cwd: join(directory, 'none\udce9'), env })).error,
      `the directory "${directory}/none\\udce9" does not exist`,
    );
    assert.equal((await ask('post', { cwd, env })).status, 1);
    assert.equal(await ended, 1, output());
    for (const [state, where] of [
      ['pre', odd.toString('latin1')],
      ['post', odd.toString('latin1')],
      ['error', '/'],
    ]) {
      const seen = readFileSync(join(directory, `${state}`), 'latin1').split(/[\0\n]/);
      const bytes = (text: string): string => Buffer.from(text).toString('latin1');
      assert.ok(seen.includes(`NAME=caf\xe9 ${bytes('\u{1f600}')}\x80`), seen.join('\n'));
      assert.ok(seen.includes(`UTF8=${bytes('é\ufffd')}`), seen.join('\n'));
      assert.ok(seen.includes(`${where}`), seen.join('\n'));
    }
    // Nothing keeps the directory.
    rmdirSync(odd);
  });

  test('a failure is answered after error, with the HookError, and ends it', async t => {
    const made = stage(t);
    const { ask, ended, output } = await guardian(t, made, { FAIL: 'b inspect' });
    assert.equal((await ask('pre')).status, 0);
    const { status, error, results } = await ask('inspect');
    const text = `\`${made.hooks}/b backup inspect\` non-zero exitcode (3), the hooks after it were not run`;
    assert.deepEqual([status, error], [1, text]);
    assert.equal((results as unknown[]).length, 2);
    assert.deepEqual(made.told().slice(-3), states('error', 'cba'));
    assert.equal(await ended, 1);
    // The caller tells what it was answered.
    assert.equal(output(), '');
    assert.deepEqual(files(made), []);
  });

  test('what cannot be understood or is out of order is answered, and changes nothing', async t => {
    const made = stage(t, ['a']);
    const { ask, send, answer, ended } = await guardian(t, made);
    const wrong = async (text: string): Promise<unknown> => {
      send(`${text}\n`);
      const { status, error } = await answer();
      assert.equal(status, 2);
      return error;
    };
    const order = (state: string): string =>
      `"${state}" cannot be the next state: it is pre, then inspect if at all, then post, each once`;
    assert.equal(await wrong('{"state":"pre"'), 'the request is not a JSON object');
    assert.equal(await wrong(''), 'the request is not a JSON object');
    assert.equal(await wrong('[]'), 'the request is not a JSON object');
    assert.equal(await wrong('{}'), '"state" is one of "pre", "inspect", "post", "error", not absent');
    assert.equal(await wrong('{"state":"error"}'), '"error" is not a string');
    assert.equal(
      await wrong('{"state":"end"}'),
      '"state" is one of "pre", "inspect", "post", "error", not "end"',
    );
    // Deeper than JSON.stringify can go.
    assert.match(
      String(await wrong(`{"state":${'['.repeat(200_000)}${']'.repeat(200_000)}}`)),
      /^(?:"state" is one of .*, not of type object|the request is not a JSON object)$/,
    );
    assert.equal(await wrong('{"state":"pre","cwd":"x","env":{}}'), '"cwd" is not an absolute path');
    assert.equal(
      await wrong('{"state":"pre","cwd":"/","env":[]}'),
      '"env" is not an object of names and values',
    );
    assert.equal(
      await wrong('{"state":"pre","cwd":"/","env":{"A":1}}'),
      'the value of "A" in "env" is not a string',
    );
    assert.equal(
      await wrong('{"state":"pre","cwd":"/","env":{"A=":"1"}}'),
      '"A=" in "env" cannot be in an environment',
    );
    assert.equal(
      await wrong('{"state":"pre","cwd":"/","env":{"A":"\\u0000"}}'),
      '"A" in "env" cannot be in an environment',
    );
    assert.equal(
      await wrong('{"state":"pre","cwd":"/nonexistent","env":{}}'),
      'the directory "/nonexistent" does not exist',
    );
    assert.equal(await wrong('{"state":"post","cwd":"/","env":{}}'), order('post'));
    assert.equal((await ask('pre')).status, 0);
    assert.equal((await ask('pre')).error, order('pre'));
    assert.equal((await ask('inspect')).status, 0);
    assert.equal((await ask('inspect')).error, order('inspect'));
    assert.equal((await ask('post')).status, 0);
    assert.equal(await ended, 0);
    assert.deepEqual(made.told(), ['a pre', 'a inspect', 'a post']);
  });

  test('the caller’s end between the states is told', async t => {
    const made = stage(t);
    const { ask, socket, ended, output } = await guardian(t, made);
    place(made.hooks, 'b', '#!/bin/sh\necho "b $2 $TKLBAM_HOOK_ERROR" >>"$RECORD"\n');
    await ask('pre');
    socket.destroy();
    assert.equal(await ended, 1);
    const [c, b = '', a] = made.told().slice(3);
    assert.deepEqual([c, a], ['c error', 'a error']);
    assert.match(b, new RegExp(`^b error the caller, '.*' \\(pid ${process.pid}\\), ended before post$`));
    assert.match(output(), /^tklbam-hooks: the caller, .*, ended before post\n$/);
    assert.deepEqual(files(made), []);
  });

  test('the name of a caller that would be two lines, and an escape, is one line of text', async t => {
    const made = stage(t, []);
    place(made.hooks, 'a', '#!/bin/sh\necho "$2 $TKLBAM_HOOK_ERROR" >>"$RECORD"\n');
    // Of the kernel's 15 bytes: prctl(PR_SET_NAME).
    const { title } = process;
    process.title = 'x\nevil\x1b[2J';
    const { ask, socket, ended, output } = await guardian(t, made);
    await ask('pre', { env: made.env });
    process.title = title;
    socket.destroy();
    assert.equal(await ended, 1);
    const text = `the caller, 'x\\x0aevil\\x1b[2J' (pid ${process.pid}), ended before post`;
    assert.deepEqual(made.told(), ['pre ', `error ${text}`]);
    assert.equal(output(), `tklbam-hooks: ${text}\n`);
  });

  test('a caller that says what went wrong is quoted, on one line', async t => {
    const made = stage(t, []);
    place(made.hooks, 'a', '#!/bin/sh\necho "$2 $TKLBAM_HOOK_ERROR" >>"$RECORD"\n');
    const { ask, send, ended, answer } = await guardian(t, made);
    await ask('pre', { env: made.env });
    send(`${JSON.stringify({ state: 'error', error: 'IOError: no space\nleft' })}\n`);
    const { status, error } = await answer();
    assert.equal(status, 1);
    assert.match(
      String(error),
      new RegExp(`^the caller, '.*' \\(pid ${process.pid}\\), failed: IOError: no space\\\\x0aleft$`),
    );
    assert.equal(await ended, 1);
    assert.deepEqual(made.told(), ['pre ', `error ${error}`]);
  });

  test('the caller’s end ends a hook of pre, and what it started', async t => {
    const made = stage(t, ['a']);
    place(
      made.hooks,
      'b',
      '#!/bin/sh\necho "b $2" >>"$RECORD"\n[ "$2" != pre ] || { echo ready; sleep 600 & wait; }\n',
    );
    const { send, socket, ended, output } = await guardian(t, made);
    send(`${JSON.stringify({ state: 'pre', cwd: '/', env: made.env })}\n`);
    await until('the hook is ready', () => output().includes('ready'));
    socket.destroy();
    assert.equal(await ended, 143);
    assert.deepEqual(made.told(), ['a pre', 'b pre', 'b error', 'a error']);
  });

  test('the caller’s end does not end post; error follows', async t => {
    const made = stage(t, ['a']);
    place(made.hooks, 'b', `#!/bin/sh\n[ "$2" != post ] || { ${WAIT}; }\necho "b $2" >>"$RECORD"\n`);
    const { child, ask, send, socket, ended, output } = await guardian(t, made);
    await ask('pre', { env: made.env });
    send(`${JSON.stringify({ state: 'post', cwd: '/', env: made.env })}\n`);
    await until('the hook is ready', () => output().includes('ready'));
    socket.destroy();
    await settled(child.pid);
    letGo(made);
    assert.equal(await ended, 1);
    assert.deepEqual(made.told(), ['a pre', 'b pre', 'b post', 'a post', 'b error', 'a error']);
  });

  test('a half line and then the end are the caller’s end', async t => {
    const made = stage(t, ['a']);
    const { ask, socket, ended } = await guardian(t, made);
    await ask('pre');
    socket.end('{"state":"post","cwd":"/","env":{}}');
    assert.equal(await ended, 1);
    assert.deepEqual(made.told(), ['a pre', 'a error']);
  });

  test('a line without end is answered, and ends the session with error', async t => {
    const made = stage(t, ['a']);
    const { ask, send, answer, ended } = await guardian(t, made);
    await ask('pre');
    for (let i = 0; i < 17; i++) send('x'.repeat(1 << 20));
    const { status, error } = await answer();
    assert.deepEqual(status, 1);
    assert.match(String(error), /sent more than 16 MiB without waiting for an answer$/);
    assert.equal(await ended, 1);
    assert.deepEqual(made.told(), ['a pre', 'a error']);
  });

  test('a flood is not read any further, whatever its hooks take', async t => {
    const made = stage(t, []);
    place(made.hooks, 'a', `#!/bin/sh\n[ "$2" != error ] || { ${WAIT}; }\necho "a $2" >>"$RECORD"\n`);
    const { ask, child, socket, send, ended, output } = await guardian(t, made);
    await ask('pre');
    for (let i = 0; i < 64; i++) send('x'.repeat(1 << 20));
    await until('the hook is ready', () => output().includes('ready'));
    await settled(child.pid);
    assert.ok(socket.writableLength > 40 << 20, `${socket.writableLength} bytes are left`);
    letGo(made);
    assert.equal(await ended, 1);
    assert.deepEqual(made.told(), ['a pre', 'a error']);
  });

  test('a caller that does not read does not hold it up', async t => {
    const made = stage(t, ['a']);
    const { ask, socket, send, ended } = await guardian(t, made);
    await ask('pre');
    socket.pause();
    for (let i = 0; i < 20_000; i++) send('not JSON\n');
    send(`${JSON.stringify({ state: 'post', cwd: '/', env: made.env })}\n`);
    assert.equal(await ended, 0);
    assert.deepEqual(made.told(), ['a pre', 'a post']);
  });

  test('INT, HUP and QUIT are nothing to it; TERM ends the session', async t => {
    const made = stage(t, ['a']);
    const { ask, child, answer, ended } = await guardian(t, made);
    await ask('pre');
    child.kill('SIGINT');
    child.kill('SIGHUP');
    child.kill('SIGQUIT');
    assert.equal((await ask('inspect')).status, 0);
    child.kill('SIGTERM');
    assert.deepEqual(await answer(), {
      status: 143,
      error: 'the guardian of the session was ended by signal SIGTERM',
      results: [],
    });
    assert.equal(await ended, 'SIGTERM');
    assert.deepEqual(made.told(), ['a pre', 'a inspect', 'a error']);
  });

  test('TERM in the recovery that precedes: that ends well, and no hook of the new session is run', async t => {
    const made = stage(t, ['a']);
    assert.equal(
      run(program, ['wrap', 'backup', '--', 'sh', '-c', 'kill -9 $PPID'], { env: made.env }).signal,
      'SIGKILL',
    );
    const go = join(scratch(t), 'go');
    place(
      made.hooks,
      'a',
      `#!/bin/sh\n[ "$2" != error ] || { echo ready; until [ -e '${go}' ]; do sleep 0.05; done; }\necho "a $2" >>"$RECORD"\n`,
    );
    const { ask, child, ended, output } = await guardian(t, made);
    const asked = ask('pre');
    await until('the recovery runs', () => output().includes('ready'));
    child.kill('SIGTERM');
    await settled(child.pid);
    writeFileSync(go, '');
    const { status, error } = await asked;
    assert.equal(status, 1);
    assert.equal(error, 'the guardian of the session was ended by signal SIGTERM, no hook was run');
    assert.equal(await ended, 'SIGTERM');
    assert.deepEqual(made.told(), ['a pre', 'a error']);
    assert.deepEqual(files(made), []);
  });

  test('a second guardian answers who has the session', async t => {
    const made = stage(t, ['a']);
    const first = await guardian(t, made);
    await first.ask('pre');
    const second = await guardian(t, made);
    const { status, error } = await second.ask('pre');
    assert.equal(status, 75);
    assert.match(
      String(error),
      new RegExp(`^another session is running: the backup '[^']+', pid ${first.child.pid}, `),
    );
    assert.equal(await second.ended, 75);
    assert.equal((await first.ask('post')).status, 0);
    assert.equal(await first.ended, 0);
    assert.deepEqual(made.told(), ['a pre', 'a post']);
  });

  test('nothing asked, nothing done', async t => {
    const made = stage(t);
    const { socket, ended, output } = await guardian(t, made);
    socket.end();
    assert.equal(await ended, 0);
    assert.equal(output(), '');
    assert.deepEqual(made.told(), []);
    assert.deepEqual(files(made), []);
  });

  if (isAhead) {
    test('one that is not wanted, or asked for nonsense, ends and has done nothing', async t => {
      for (const text of [
        '',
        'session',
        'null\n',
        '{"argv": ["--version"], "env": {"A": 1}, "streams": []}\n',
      ]) {
        const made = stage(t);
        const [file, ...args] = program.command;
        const child = spawn(file, [...args, 'session', '--ahead', '3'], {
          env: { ...plainEnvironment, ...made.env },
          stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
        });
        t.after(() => child.kill('SIGKILL'));
        let output = '';
        for (const stream of [child.stdout, child.stderr])
          stream?.on('data', (data: Buffer) => {
            output += data;
          });
        const socket = child.stdio[3] as Socket;
        socket.on('error', () => {});
        socket.end(text);
        assert.deepEqual([await once(child, 'close'), output], [[0, null], ''], text);
        assert.ok(!existsSync(made.env.TKLBAM_HOOKS_STATE ?? ''), text);
      }
    });

    test('its errors are those of any other', async t => {
      const made = stage(t);
      const [file, ...args] = program.command;
      const child = spawn(file, [...args, 'session', '--ahead', '3'], {
        stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
      });
      t.after(() => child.kill('SIGKILL'));
      let said = '';
      child.stderr?.on('data', (data: Buffer) => {
        said += data;
      });
      const env = { ...plainEnvironment, ...made.env };
      const argv = ['session', 'backup', '--control', 'x'];
      (child.stdio[3] as Socket).write(`${JSON.stringify({ argv, env, streams: [] })}\n`);
      assert.deepEqual(await once(child, 'close'), [2, null]);
      assert.equal(
        said,
        "tklbam-hooks: --control: 'x' is no file descriptor\nTry 'tklbam-hooks help session'.\n",
      );
    });
    return;
  }

  test('a descriptor that hooks would inherit is refused', t => {
    const made = stage(t);
    const script =
      'import os,socket,sys\na,b=socket.socketpair()\nos.dup2(b.fileno(),200)\nos.execv(sys.argv[1],sys.argv[1:])';
    const args = ['session', 'backup', '--control', '200'];
    const python = { name: 'python', command: ['python3', '-c', script, ...program.command] } as const;
    assert.deepEqual(ending(run(python, args, { env: made.env })), [
      2,
      '',
      "tklbam-hooks: --control 200 would be inherited by hooks: pass a descriptor below 16, or set close-on-exec\nTry 'tklbam-hooks help session'.\n",
    ]);
  });
}
