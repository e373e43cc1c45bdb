// Hooks and surroundings that nobody would wish for, each with what is said of it. Endings by status and signal are in e2e.test.ts.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import {
  ending,
  hooksDirectory,
  install,
  isRoot,
  PATIENCE_MS,
  place,
  plainEnvironment,
  programs,
  run,
  scratch,
  start,
  until,
} from '../support/harness.ts';

/** As another user, who may read the program wherever it is. */
const otherUser = (uid: number) =>
  [
    'setpriv',
    ...[`--reuid=${uid}`, `--regid=${uid}`, '--clear-groups'],
    ...['--inh-caps=+dac_read_search', '--ambient-caps=+dac_read_search'],
  ] as const;

/** For hooks that nothing but KILL ends, and not even that. */
const SHORT_GRACE = { TKLBAM_HOOKS_GRACE: '1s' };

for (const program of programs) {
  const it = (title: string, body: (t: TestContext) => void | Promise<void>): void => {
    test(`${program.name}: ${title}`, body);
  };
  const pre = (directory: string, input = '') =>
    ending(run(program, ['run', 'backup', 'pre', '--hooks', directory], { input }));
  /** The same behind words that change its surroundings. */
  const within = (words: readonly [string, ...string[]], directory: string, state = 'pre') => {
    const [file, ...args] = words;
    const command = [...program.command, 'run', 'backup', state, '--hooks', directory];
    return ending(
      spawnSync(file, [...args, ...command], {
        cwd: '/',
        encoding: 'utf8',
        env: plainEnvironment,
        timeout: PATIENCE_MS,
      }),
    );
  };

  const bodies: [string, string, (directory: string) => [number, string, string]][] = [
    ['deletes itself', 'rm "$0"', directory => [0, `[${directory}/z][backup][pre]\n`, '']],
    [
      'deletes the next',
      'rm "$(dirname "$0")/z"',
      directory => [
        1,
        '',
        `HookError: \`${directory}/z backup pre\` could not be started: it or its interpreter is gone (it was there when the run began)\n`,
      ],
    ],
    [
      'deletes the directory',
      'rm -r "$(dirname "$0")"',
      directory => [
        1,
        '',
        `HookError: \`${directory}/z backup pre\` could not be started: it or its interpreter is gone (it was there when the run began)\n`,
      ],
    ],
    [
      'adds a hook',
      'cd "$(dirname "$0")" && cp z b',
      directory => [0, `[${directory}/z][backup][pre]\n`, ''],
    ],
    [
      'switches the next off',
      'chmod -x "$(dirname "$0")/z"',
      directory => [
        1,
        '',
        `HookError: \`${directory}/z backup pre\` could not be started: permission denied (chmod a+rx it, or see to its interpreter)\n`,
      ],
    ],
    ['changes its directory', 'cd /usr', directory => [0, `[${directory}/z][backup][pre]\n`, '']],
    [
      'closes its output',
      'exec <&- >&- 2>&-; sleep 0.2',
      directory => [0, `[${directory}/z][backup][pre]\n`, ''],
    ],
    ['eats stdin', 'cat >/dev/null', directory => [0, `[${directory}/z][backup][pre]\n`, '']],
    [
      'writes terminal escapes',
      "printf '\\033]0;x\\007\\033[2J\\n'",
      directory => [0, `\x1b]0;x\x07\x1b[2J\n[${directory}/z][backup][pre]\n`, ''],
    ],
    [
      'changes its umask and limits',
      'umask 0; ulimit -n 3',
      directory => [0, `[${directory}/z][backup][pre]\n`, ''],
    ],
    [
      'kills its parent’s group',
      'kill -s TERM 0',
      directory => [
        1,
        '',
        `HookError: \`${directory}/a backup pre\` killed by signal SIGTERM, the hooks after it were not run\n`,
      ],
    ],
  ];
  for (const [what, body, expected] of bodies) {
    it(`a hook that ${what}`, t => {
      const directory = hooksDirectory(t);
      place(directory, 'a', `#!/bin/sh\n${body}\n`);
      install(directory, 'print-args', 'z');
      assert.deepEqual(pre(directory, 'some input\n'), expected(directory));
    });
  }

  it('binary output goes through untouched', t => {
    const directory = hooksDirectory(t);
    place(directory, 'a', "#!/bin/sh\nprintf '\\000\\377\\n\\200'\n");
    const [file, ...args] = [...program.command, 'run', 'backup', 'pre', '--hooks', directory];
    const { stdout } = spawnSync(file ?? '', args, { env: plainEnvironment });
    assert.deepEqual(stdout, Buffer.from([0, 0xff, 0x0a, 0x80]));
  });

  it('a gigabyte without a newline leaves our memory as it was', t => {
    const peak = (size: string): number => {
      const directory = hooksDirectory(t);
      place(directory, 'a', `#!/bin/sh\nexec head -c ${size} /dev/zero\n`);
      const python =
        'import resource, subprocess, sys\n' +
        'subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True)\n' +
        'print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)';
      const args = ['-c', python, ...program.command, 'run', 'backup', 'pre', '--hooks', directory];
      return Number(spawnSync('python3', args, { encoding: 'utf8', env: plainEnvironment }).stdout);
    };
    const [little, much] = [peak('1'), peak('1G')];
    assert.ok(little > 0 && much < little + 10_000, `${little} KiB, then ${much} KiB`);
  });

  it('5,000 hooks', t => {
    const directory = hooksDirectory(t);
    for (let i = 0; i < 5000; i++) place(directory, `h${String(i).padStart(4, '0')}`, 'exit 0\n');
    const listed = run(program, ['run', 'backup', 'pre', '--hooks', directory, '--dry-run']);
    assert.equal(listed.stdout.split('\n').length, 5001);
    assert.deepEqual([listed.status, listed.stderr], [0, '']);
    const wanted = run(program, [
      'run',
      'backup',
      'pre',
      '--hooks',
      directory,
      '--only',
      'h4999',
      '--only',
      'h0000',
    ]);
    assert.deepEqual(ending(wanted), [0, '', '']);
  });

  it('what hooks inherit: default signals, no descriptors but three, the caller’s umask', async t => {
    const directory = hooksDirectory(t);
    install(directory, 'show-process');
    const script =
      'trap \'\' PIPE INT XFSZ; umask 027; exec 7</dev/null 9>/dev/null 250</dev/null 999>/dev/null; exec "$@"';
    const command = [...program.command, 'run', 'backup', 'pre', '--hooks', directory];
    // bash: other shells know no descriptor above 9.
    const running = start(t, ['bash', '-c', script, 'bash', ...command]);
    assert.deepEqual(await running.ended, [0, '']);
    // Descriptor 3 is that with which ls reads the directory.
    const none = '0000000000000000';
    assert.equal(running.stdout(), `SigBlk: ${none}\nSigIgn: ${none}\n0\n1\n2\n3\n0027\n`);
  });

  it('too few descriptors: an error, no stack', t => {
    const directory = hooksDirectory(t);
    install(directory, 'succeed');
    for (let limit = 40; limit > 3; limit--) {
      const [status, , stderr] = within(['sh', '-c', `ulimit -n ${limit}; exec "$@"`, 'sh'], directory);
      assert.doesNotMatch(stderr, /^ +at /m, `with ${limit} descriptors`);
      if (status === 0) continue;
      assert.match(
        stderr,
        /^HookError: .*EMFILE|^HookError: .*too many open files/m,
        `with ${limit}: ${status} ${stderr}`,
      );
      return;
    }
    assert.fail('it never failed');
  });

  if (isRoot) {
    /** Words that put a copy of the hooks where another user can reach them, whatever the modes of the directories here. */
    const onTmpfs = (directory: string) =>
      [
        ...['unshare', '-m', 'sh', '-c'],
        'mount -t tmpfs -o mode=755 none /mnt && mkdir /mnt/hooks.d && cp -a "$0"/. /mnt/hooks.d/ && exec "$@"',
        directory,
      ] as const;

    it('no process left for the user: an error, no stack', t => {
      const directory = hooksDirectory(t);
      install(directory, 'succeed');
      const line =
        'HookError: `/mnt/hooks.d/succeed backup pre` could not be started: too many processes (EAGAIN) (try again when that is mended)\n';
      for (let limit = 30; limit > 0; limit--) {
        // A user of the test's own, so that only its processes count. Root has no limit.
        const words = [...onTmpfs(directory), 'bash', '-c', `ulimit -u ${limit}; exec "$@"`, 'bash'] as const;
        const [status, , stderr] = within([...words, ...otherUser(64999)], '/mnt/hooks.d');
        if (status === 0) continue;
        assert.deepEqual([status, stderr], [1, line]);
        return;
      }
      assert.fail('it never failed');
    });

    it('a hook that forks until its limit is ended with all it forked', async t => {
      const directory = hooksDirectory(t);
      const bomb = 'ulimit -u 60\nf() { f & f & sleep 600; }\nf 2>/dev/null\nwait\nsleep 600\n';
      place(directory, 'a', `#!/bin/bash\n# tklbam-hooks: timeout=2s\n${bomb}`);
      const command = [...program.command, 'run', 'backup', 'pre', '--hooks', '/mnt/hooks.d'];
      const running = start(t, [...onTmpfs(directory), ...otherUser(64998), ...command], SHORT_GRACE);
      const [status, stderr] = await running.ended;
      assert.equal(status, 1);
      assert.match(stderr, /HookError: `\/mnt\/hooks.d\/a backup pre` timed out after 2s\n$/);
      assert.deepEqual(running.left(), []);
    });

    const mount = (options: string, more: string) => (directory: string) =>
      [
        'unshare',
        '-m',
        'sh',
        '-c',
        `mount -t tmpfs -o ${options} none "$0" && ${more} && exec "$@"`,
        directory,
      ] as const;

    it('a full disk', t => {
      const directory = hooksDirectory(t);
      const fill =
        'printf "#!/bin/sh\\necho x >\\"\\$0.out\\" || exit 4\\n" >"$0/a" && chmod 755 "$0" "$0/a" && { cat /dev/zero >"$0/fill.tmp" 2>/dev/null; true; }';
      const [status, stdout, stderr] = within(mount('size=64k', fill)(directory), directory);
      assert.deepEqual([status, stdout], [1, '']);
      // The hook has its say, we have ours.
      assert.ok(stderr.endsWith(`HookError: \`${directory}/a backup pre\` non-zero exitcode (4)\n`), stderr);
    });

    it('everything read-only', t => {
      const directory = hooksDirectory(t);
      install(directory, 'print-args');
      const script =
        'mount --bind / /mnt && mount -o remount,bind,ro /mnt && exec /usr/sbin/chroot /mnt "$@"';
      const [, ...out] = within(['unshare', '-m', 'sh', '-c', script, 'sh'], directory);
      assert.deepEqual(out, [`[${directory}/print-args][backup][pre]\n`, '']);
    });

    it('no /proc', t => {
      const directory = hooksDirectory(t);
      install(directory, 'print-args');
      install(directory, 'exit-3', 'z');
      const script = 'mount -t tmpfs none /proc && exec "$@"';
      assert.deepEqual(within(['unshare', '-m', 'sh', '-c', script, 'sh'], directory), [
        1,
        `[${directory}/print-args][backup][pre]\n`,
        `HookError: \`${directory}/z backup pre\` non-zero exitcode (3)\n`,
      ]);
    });

    it('no /proc: a time limit still ends the process group', async t => {
      const directory = hooksDirectory(t);
      place(directory, 'a', '#!/bin/sh\nsleep 600 &\nsleep 600\n');
      const script = 'mount -t tmpfs none /proc && exec "$@"';
      const command = [...program.command, 'run', 'backup', 'pre', '--hooks', directory, '--timeout', '1s'];
      const running = start(t, ['unshare', '-m', 'sh', '-c', script, 'sh', ...command]);
      assert.deepEqual(await running.ended, [
        1,
        `HookError: \`${directory}/a backup pre\` timed out after 1s\n`,
      ]);
      await until('nothing of it is left', () => running.left().length === 0);
    });

    it('a hook that cannot be killed, since it writes to a frozen file system, holds the run up no longer than its limit', async t => {
      const directory = hooksDirectory(t);
      install(directory, 'print-args', 'b');
      place(
        directory,
        'c',
        '#!/bin/sh\n# tklbam-hooks: timeout=1s\nexec dd if=/dev/zero of=/mnt/file bs=1M count=1 status=none\n',
      );
      // In a mount name space of its own.
      const script = `
        image=$1; shift
        truncate -s 8M "$image" && mkfs.ext4 -q "$image" && mount -o loop "$image" /mnt || exit 99
        # Out of reach of what ends a failed test, or nothing would ever end the writer.
        env -u TEST_MARK sh -c 'trap "kill \\$!; exit" TERM; sleep 60 & wait; fsfreeze -u /mnt' & thaw=$!
        fsfreeze -f /mnt
        "$@"; status=$?
        fsfreeze -u /mnt
        kill $thaw
        exit $status`;
      const image = join(scratch(t), 'image');
      const command = [...program.command, 'run', 'backup', 'post', '--hooks', directory];
      const env = { ...SHORT_GRACE, PATH: '/usr/sbin:/usr/bin:/sbin:/bin' };
      const running = start(t, ['unshare', '-m', 'sh', '-c', script, 'sh', image, ...command], env);
      const line = `HookError: \`${directory}/c backup post\` timed out after 1s\n`;
      assert.deepEqual(await running.ended, [1, line]);
      assert.equal(running.stdout(), `[${directory}/b][backup][post]\n`);
    });

    it('no /dev', t => {
      const directory = hooksDirectory(t);
      install(directory, 'print-args');
      const script = 'mount -t tmpfs none /dev && exec "$@"';
      assert.deepEqual(within(['unshare', '-m', 'sh', '-c', script, 'sh'], directory), [
        0,
        `[${directory}/print-args][backup][pre]\n`,
        '',
      ]);
    });
  }

  it('root’s own edits during a run do not stop it', t => {
    const directory = hooksDirectory(t);
    const log = join(scratch(t), 'log');
    place(
      directory,
      'a',
      `#!/bin/sh\nprintf '#!/bin/sh\\necho new >>${log}\\n' >"\${0%/*}/b.new.tmp"\nchmod 755 "\${0%/*}/b.new.tmp"\nmv "\${0%/*}/b.new.tmp" "\${0%/*}/b"\n`,
    );
    place(directory, 'b', `#!/bin/sh\necho old >>${log}\n`);
    assert.deepEqual(pre(directory), [0, '', '']);
    assert.equal(readFileSync(log, 'utf8'), 'new\n');
    assert.ok(existsSync(join(directory, 'b')));
  });
}
