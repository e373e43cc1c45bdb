// What `wrap` takes besides its command: --name, --wait, --command-timeout, --only, --dry-run.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import {
  ending,
  install,
  isRoot,
  place,
  plainEnvironment,
  programs,
  run,
  start,
} from '../support/harness.ts';
import { files, logged, stage, states } from '../support/stage.ts';

for (const program of programs) {
  describe(`${program.name}: wrap`, { concurrency: 4 }, () => {
    test('--dry-run: what would run, in its order, and no trace of a session', t => {
      const made = stage(t, ['a', 'b']);
      const args = [
        'wrap',
        'backup',
        '--dry-run',
        '--inspect',
        '/',
        '--',
        'sh',
        '-c',
        'touch "$0"; a\nb',
        '/x',
      ];
      const line = (name: string, state: string): string => `${made.hooks}/${name} backup ${state}\n`;
      const before = ['pre', 'inspect'].map(state => line('a', state) + line('b', state)).join('');
      const after = line('b', 'post') + line('a', 'post');
      assert.deepEqual(ending(run(program, args, { env: made.env })), [
        0,
        `${before}sh -c 'touch "$0"; a\\x0ab' /x\n${after}`,
        '',
      ]);
      assert.deepEqual([made.told(), existsSync(made.state), existsSync(made.log)], [[], false, false]);
    });

    test('--dry-run: what stands in the way, and the status of that', t => {
      const made = stage(t, ['a']);
      place(made.hooks, 'b', '#!/nonexistent\n');
      const [status, stdout, stderr] = ending(
        run(program, ['wrap', 'backup', '--dry-run', '--', 'no-such-command'], { env: made.env }),
      );
      assert.deepEqual([status, stdout], [1, `no-such-command\n${made.hooks}/a backup post\n`]);
      assert.match(
        stderr,
        /^HookError: .*\/b backup pre.* could not be started: .*\n.*'no-such-command' is not to be found\n$/,
      );
      const missing = run(program, ['wrap', 'backup', '--dry-run', '--only', 'a', '--', 'no-such-command'], {
        env: made.env,
      });
      assert.equal(missing.status, 127);
    });

    test('hooks of post are told of warnings: of hooks and of COMMAND, and of no session before', t => {
      const made = stage(t, []);
      place(made.hooks, 'a', '#!/bin/sh\n[ "$2" = pre ] || printenv TKLBAM_HOOK_WARNING || echo none\n');
      place(made.hooks, 'b', '#!/bin/sh\n# tklbam-hooks: failure=warn\n[ "$2" != "$FAILS" ] || exit 3\n');
      const told = (state: string, command: string): string =>
        run(program, ['wrap', 'backup', '--warn-status', '4', '--', 'sh', '-c', command], {
          env: { ...made.env, FAILS: state, TKLBAM_HOOK_WARNING: 'forged' },
        })
          .stderr.split('\n')
          .filter(line => !/^(?:tklbam-hooks|HookError): /.test(line))
          .join('');
      const warned = (state: string): string =>
        `'${made.hooks}/b backup ${state}' non-zero exitcode (3), ignoring it as it asks (failure=warn)`;
      const commanded = "'sh' exited with status 4, a warning (--warn-status)";
      assert.equal(told('never', 'exit 0'), 'none');
      assert.equal(told('post', 'exit 0'), warned('post'));
      assert.equal(told('never', 'exit 4'), commanded);
      assert.equal(told('pre', 'exit 4'), `${warned('pre')} (and 1 more)`);
      // In error.
      assert.equal(told('pre', 'exit 5'), 'none');
      place(made.hooks, 'b', '#!/bin/sh\n# tklbam-hooks: timeout=x\n');
      assert.match(told('never', 'exit 0'), /^'\/.*\/b': .*timeout=x/);
    });

    test('--only: these hooks and no others, in post and error too', t => {
      const made = stage(t);
      const wrap = (...words: string[]) =>
        ending(run(program, ['wrap', 'backup', '--only', 'a', '--only', 'c', ...words], { env: made.env }));
      assert.deepEqual(wrap('--', 'true'), [0, '', '']);
      assert.equal(wrap('--', 'false')[0], 1);
      assert.deepEqual(made.told(), [
        ...states('pre', 'ac'),
        ...states('post', 'ca'),
        ...states('pre', 'ac'),
        ...states('error', 'ca'),
      ]);
      assert.equal(wrap('--only', 'd', '--', 'true')[0], 2);
    });

    test('--command-timeout ends COMMAND with all that it started, and then hooks hear of it', async t => {
      const made = stage(t, ['a']);
      const script = 'sleep 600 & setsid sleep 600 & echo ready; wait';
      const words = ['wrap', 'backup', '--command-timeout', '1s', '--', 'sh', '-c', script];
      const running = start(t, [...program.command, ...words], made.env);
      const [status, stderr] = await running.ended;
      assert.deepEqual([status, stderr], [124, "tklbam-hooks: 'sh' timed out after 1s\n"]);
      assert.deepEqual([running.stdout(), running.left()], ['ready\n', []]);
      assert.deepEqual(made.told(), ['a pre', 'a error']);
      const [session] = logged(made).filter(({ type }) => type === 'session');
      assert.deepEqual([session?.outcome, session?.error], ['failed', "'sh' timed out after 1s"]);
    });

    test('a COMMAND that ends in time is none the worse for it', t => {
      const made = stage(t, ['a']);
      const args = ['wrap', 'backup', '--command-timeout', '1h', '--', 'echo', 'done'];
      assert.deepEqual(ending(run(program, args, { env: made.env })), [0, 'done\n', '']);
    });

    test('sessions of one operation are told apart by the name of COMMAND, or by --name', t => {
      const made = stage(t, []);
      place(made.hooks, 'a', '#!/bin/sh\necho "$2 $TKLBAM_HOOK_COMMAND" >>"$RECORD"\n');
      install(made.hooks, 'succeed', 'b');
      const wrap = (...words: string[]) =>
        run(program, ['wrap', 'backup', ...words], { env: made.env }).status;
      assert.equal(wrap('--', '/bin/true'), 0);
      assert.equal(wrap('--name', 'nightly', '--', 'sh', '-c', 'exit 3'), 3);
      assert.deepEqual(made.told(), ['pre true', 'post true', 'pre nightly', 'error nightly']);
      const sessions = logged(made).filter(({ type }) => type === 'session');
      const commands = sessions.map(({ name, command }) => ({ name, ...(command as object), seconds: 0 }));
      assert.deepEqual(commands, [
        { name: 'true', path: '/bin/true', outcome: 'succeeded', status: 0, signal: null, seconds: 0 },
        { name: 'nightly', path: 'sh', outcome: 'failed', status: 3, signal: null, seconds: 0 },
      ]);
      assert.deepEqual(files(made), []);
      assert.ok(!readFileSync(made.log, 'utf8').includes('exit 3'));
    });

    test('a disk that a hook mounted in its scratch directory, and forgot, is not emptied', t => {
      if (!isRoot) return;
      const made = stage(t, []);
      const mount =
        '[ "$2" = pre ] || exit 0\ncd "$TKLBAM_HOOK_SCRATCH"\nmkdir m\ntouch n\nmount --bind "$RECORD.d" m\n';
      place(made.hooks, 'a', `#!/bin/sh\n${mount}`);
      const script =
        'mkdir "$RECORD.d" && touch "$RECORD.d/precious" && "$@"; ls "$TKLBAM_HOOKS_STATE"/sessions/*/';
      const words = [...program.command, 'wrap', 'backup', '--', 'true'];
      const { stdout, stderr } = spawnSync('unshare', ['-m', 'sh', '-c', script, 'sh', ...words], {
        encoding: 'utf8',
        env: { ...plainEnvironment, ...made.env },
        cwd: '/',
      });
      assert.match(
        stderr,
        /^tklbam-hooks: cannot remove the scratch directory '.*\/scratch-\S+': something is mounted in it \(umount it\)\n$/,
      );
      assert.equal(stdout, 'm\nn\n');
      assert.ok(existsSync(`${made.env.RECORD}.d/precious`));
    });

    test('wrong words: which, and what they can be', t => {
      const made = stage(t, ['a']);
      for (const [words, error] of [
        [['--name', 'a b'], "--name: 'a b' is not of 1 to 64 letters, digits and . _ @ : + -"],
        [['--name', '../x'], "--name: '../x' is not of 1 to 64 letters, digits and . _ @ : + -"],
        [
          ['--wait=soon'],
          "--wait: 'soon' is no duration, write it as 90s, 5m or 6h (at most 500h), or 0 for none",
        ],
        [['--wait='], "option '--wait' needs a value"],
        [
          ['--command-timeout', '1y'],
          "--command-timeout: '1y' is no duration, write it as 90s, 5m or 6h (at most 500h), or 0 for none",
        ],
      ] as const) {
        const [status, stdout, stderr] = ending(
          run(program, ['wrap', 'backup', ...words, '--', 'true'], { env: made.env }),
        );
        assert.deepEqual([status, stdout, stderr.split('\n')[0]], [2, '', `tklbam-hooks: ${error}`]);
      }
      assert.deepEqual(made.told(), []);
    });
  });
}
