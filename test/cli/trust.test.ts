// Who may be run: every way in which somebody else than root could decide what a hook does.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  lchownSync,
  mkdirSync,
  renameSync,
  symlinkSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
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
} from '../support/harness.ts';

const NOBODY = 65534;
const disable = 'or chmod -x it to disable it';
const unlink = 'or remove the link to disable it';

/** An interpreter that works, in place of the one of the hook `x`. */
function interpretBy(directory: string, interpreter: string): void {
  mkdirSync(dirname(interpreter), { recursive: true, mode: 0o755 });
  copyFileSync('/bin/true', interpreter);
  chmodSync(interpreter, 0o755);
  place(directory, 'x', `#!${interpreter}\n`);
}

/** What is wrong, how to make it so in a directory with the hook `x`, and what is said of it; `DIR` stands for the directory. */
const refusals: [string, (directory: string) => void, string, string][] = [
  ...[0o775, 0o720].map((mode): [string, (directory: string) => void, string, string] => [
    `mode ${mode.toString(8)}`,
    directory => chmodSync(join(directory, 'x'), mode),
    'it is writable by its group',
    `chmod go-w it, ${disable}`,
  ]),
  ...[0o757, 0o777].map((mode): [string, (directory: string) => void, string, string] => [
    `mode ${mode.toString(8)}`,
    directory => chmodSync(join(directory, 'x'), mode),
    'it is writable by everybody',
    `chmod go-w it, ${disable}`,
  ]),
  ...[0o4755, 0o2755].map((mode): [string, (directory: string) => void, string, string] => [
    `mode ${mode.toString(8)}`,
    directory => chmodSync(join(directory, 'x'), mode),
    'it is set-user-ID or set-group-ID',
    `chmod ug-s it, ${disable}`,
  ]),
  [
    'a directory that its group can write to',
    directory => chmodSync(directory, 0o775),
    "'DIR' is writable by its group",
    `chmod go-w 'DIR', ${disable}`,
  ],
  [
    'a directory further up that all can write to',
    directory => chmodSync(dirname(directory), 0o777),
    "'UP' is writable by everybody",
    `chmod go-w 'UP', ${disable}`,
  ],
  [
    'a sticky directory further up',
    directory => chmodSync(dirname(directory), 0o1777),
    "'UP' is writable by everybody",
    `move the hook out of it, ${disable}`,
  ],
  [
    'a link to a file in a directory that all can write to',
    directory => {
      mkdirSync(join(directory, 'open'));
      renameSync(join(directory, 'x'), join(directory, 'open/x'));
      chmodSync(join(directory, 'open'), 0o777);
      symlinkSync('open/x', join(directory, 'x'));
    },
    "'DIR/open' is writable by everybody",
    `chmod go-w 'DIR/open', ${unlink}`,
  ],
  [
    'a link to a link in a directory that all can write to, and from there to a good file',
    directory => {
      mkdirSync(join(directory, 'open'));
      mkdirSync(join(directory, 'good'), { mode: 0o755 });
      renameSync(join(directory, 'x'), join(directory, 'good/x'));
      symlinkSync('../good', join(directory, 'open/good'));
      chmodSync(join(directory, 'open'), 0o777);
      symlinkSync('open/good/x', join(directory, 'x'));
    },
    "'DIR/open' is writable by everybody",
    `chmod go-w 'DIR/open', ${unlink}`,
  ],
  [
    'a link to a file that all can write to',
    directory => {
      mkdirSync(join(directory, 'closed'), { mode: 0o755 });
      renameSync(join(directory, 'x'), join(directory, 'closed/x'));
      chmodSync(join(directory, 'closed/x'), 0o777);
      symlinkSync('closed/x', join(directory, 'x'));
    },
    "its target 'DIR/closed/x' is writable by everybody",
    `chmod go-w 'DIR/closed/x', ${unlink}`,
  ],
  ...[0o1775, 0o2775].map((mode): [string, (directory: string) => void, string, string] => [
    `a directory further up that a group shares, mode ${mode.toString(8)}`,
    directory => chmodSync(dirname(directory), mode),
    "'UP' is writable by its group",
    `move the hook out of it, ${disable}`,
  ]),
  [
    'a hooks directory that a group shares',
    directory => chmodSync(directory, 0o2775),
    "'DIR' is writable by its group",
    `chmod go-w 'DIR', ${disable}`,
  ],
  [
    'an interpreter that its group can write to',
    directory => {
      interpretBy(directory, join(directory, 'bin/true'));
      chmodSync(join(directory, 'bin/true'), 0o775);
    },
    "its interpreter 'DIR/bin/true' is writable by its group",
    `chmod go-w 'DIR/bin/true', ${disable}`,
  ],
  [
    'an interpreter in a directory that a group shares',
    directory => {
      interpretBy(directory, join(directory, 'bin/true'));
      chmodSync(join(directory, 'bin'), 0o2775);
    },
    "'DIR/bin' is writable by its group, and its interpreter 'DIR/bin/true' is in it",
    `use another interpreter, ${disable}`,
  ],
  [
    'the interpreter of an interpreter that all can write to',
    directory => {
      interpretBy(directory, join(directory, 'bin/true'));
      place(join(directory, 'bin'), 'run', `#!${directory}/bin/true\n`);
      chmodSync(join(directory, 'bin/true'), 0o777);
      place(directory, 'x', `#!${directory}/bin/run\n`);
    },
    "the interpreter 'DIR/bin/true' of 'DIR/bin/run' is writable by everybody",
    `chmod go-w 'DIR/bin/true', ${disable}`,
  ],
  ...(isRoot
    ? ([
        [
          'an interpreter of another user',
          directory => {
            interpretBy(directory, join(directory, 'bin/true'));
            chownSync(join(directory, 'bin/true'), NOBODY, 0);
          },
          "its interpreter 'DIR/bin/true' belongs to user 65534",
          `read 'DIR/bin/true', then chown root 'DIR/bin/true', ${disable}`,
        ],
        [
          'a file of another user',
          directory => chownSync(join(directory, 'x'), NOBODY, 0),
          'it belongs to user 65534',
          `read it, then chown root it, ${disable}`,
        ],
        [
          'a directory of another user',
          directory => chownSync(directory, NOBODY, 0),
          "'DIR' belongs to user 65534",
          `chown root 'DIR', ${disable}`,
        ],
        [
          'a directory of another user further up',
          directory => chownSync(dirname(directory), NOBODY, 0),
          "'UP' belongs to user 65534",
          `move the hook out of it, ${disable}`,
        ],
      ] satisfies [string, (directory: string) => void, string, string][])
    : []),
];

for (const program of programs) {
  const it = (title: string, body: (t: TestContext) => void): void => {
    test(`${program.name}: ${title}`, body);
  };
  const pass = (directory: string, state: string) =>
    ending(run(program, ['run', 'backup', state, '--hooks', directory]));

  for (const [what, spoil, reason, remedy] of refusals) {
    it(`${what}: refused`, t => {
      const directory = hooksDirectory(t);
      install(directory, 'print-args', 'x');
      spoil(directory);
      const fill = (text: string): string =>
        text.replace(/DIR|UP/g, name => (name === 'UP' ? dirname(directory) : directory));
      const error = (state: string, rest: string): string =>
        `HookError: \`${directory}/x backup ${state}\` refused: ${fill(reason)}, ${rest} (${fill(remedy)})\n`;
      assert.deepEqual(pass(directory, 'pre'), [3, '', error('pre', 'no hook was run')]);
      assert.deepEqual(pass(directory, 'post'), [3, '', error('post', 'the other hooks were run')]);
      const { hooks } = JSON.parse(run(program, ['list', '--hooks', directory, '--json']).stdout);
      const listed = hooks.find(({ name }: { name: string }) => name === 'x');
      assert.equal(listed.status, 'refused');
      assert.equal(listed.reason, `${fill(reason)} (${fill(remedy)})`);
    });
  }

  it('pre runs nothing and names every refused hook; post runs the others', t => {
    const directory = hooksDirectory(t);
    for (const name of ['a', 'b', 'c']) install(directory, 'print-args', name);
    for (const name of ['a', 'c']) chmodSync(join(directory, name), 0o777);
    const error = (name: string, state: string, rest: string): string =>
      `HookError: \`${directory}/${name} backup ${state}\` refused: it is writable by everybody, ${rest} (chmod go-w it, ${disable})\n`;
    const none = 'no hook was run';
    assert.deepEqual(pass(directory, 'pre'), [3, '', error('a', 'pre', none) + error('c', 'pre', none)]);
    const others = 'the other hooks were run';
    const out = `[${directory}/b][backup][post]\n`;
    assert.deepEqual(pass(directory, 'post'), [
      3,
      out,
      error('c', 'post', others) + error('a', 'post', others),
    ]);
  });

  it('a refused hook that was switched off with chmod -x is in nobody’s way', t => {
    const directory = hooksDirectory(t);
    install(directory, 'print-args', 'a');
    place(directory, 'b', '#!/bin/sh\n', 0o666);
    assert.deepEqual(pass(directory, 'pre'), [0, `[${directory}/a][backup][pre]\n`, '']);
  });

  it('TKLBAM_HOOKS obeys the same rules', t => {
    const directory = hooksDirectory(t);
    install(directory, 'print-args', 'x');
    chmodSync(directory, 0o777);
    const { status } = run(program, ['run', 'backup', 'pre'], { env: { TKLBAM_HOOKS: directory } });
    assert.equal(status, 3);
  });

  it('a hooks directory that is a link into a directory that all can write to', t => {
    const directory = scratch(t);
    mkdirSync(join(directory, 'open/hooks.d'), { recursive: true });
    install(join(directory, 'open/hooks.d'), 'print-args', 'x');
    chmodSync(join(directory, 'open/hooks.d'), 0o755);
    chmodSync(join(directory, 'open'), 0o777);
    symlinkSync('open/hooks.d', join(directory, 'link'));
    assert.equal(pass(join(directory, 'link'), 'pre')[0], 3);
  });

  it('a hooks directory that is a loop of links', t => {
    const directory = scratch(t);
    symlinkSync('loop', join(directory, 'loop'));
    const line = `HookError: cannot read the hooks directory '${directory}/loop': too many links (ELOOP), no hook was run\n`;
    assert.deepEqual(pass(join(directory, 'loop'), 'pre'), [1, '', line]);
  });

  it('a value of TKLBAM_HOOKS is data', t => {
    const directory = join(scratch(t), "$(touch ran);'\n");
    mkdirSync(directory, { mode: 0o755 });
    install(directory, 'print-args', 'x');
    const out = `[${directory}/x][backup][pre]\n`;
    const ran = run(program, ['run', 'backup', 'pre'], {
      cwd: dirname(directory),
      env: { TKLBAM_HOOKS: directory },
    });
    assert.deepEqual(ending(ran), [0, out, '']);
    assert.ok(!existsSync(join(dirname(directory), 'ran')));
  });

  if (isRoot) {
    it('somebody else cannot swap a hook between judging and running', () => {
      // On a file system of its own, so that the attacker can reach it whatever the modes of the directories above are here. A link of
      // root's into a place of root's: the only ways in are the files and directories themselves.
      const script = `
        mount -t tmpfs -o mode=755 none /mnt && cd /mnt && mkdir hooks.d elsewhere && mkdir -m 777 evil marks || exit 99
        printf '#!/bin/sh\\nexit 0\\n' >elsewhere/real && chmod 755 elsewhere/real
        for i in 1 2 3 4 5 6 7 8 9; do cp elsewhere/real hooks.d/h$i; done
        ln -s ../elsewhere/real hooks.d/link
        setpriv --reuid=65534 --regid=65534 --clear-groups sh -c '
          cd /mnt/evil && mkdir d && printf "#!/bin/sh\\ntouch /mnt/marks/ran\\n" >d/x && chmod 755 d/x && touch /mnt/marks/attacking
          while :; do
            mv -f /mnt/hooks.d old; mv -f d /mnt/hooks.d; ln -sfn /mnt/evil/d /mnt/hooks.d
            for hook in /mnt/hooks.d/* /mnt/elsewhere/real; do
              mv -f "$hook" .; cp -f d/x "$hook"; ln -sf /mnt/evil/d/x "$hook"; chmod 755 "$hook"; echo x >"$hook"
            done
          done' 2>/dev/null &
        until [ -e marks/attacking ]; do sleep 0.05; done
        for i in 1 2 3 4 5; do "$@" || exit 98; done
        kill $! || exit 97
        [ ! -e marks/ran ]`;
      const command = [...program.command, 'run', 'backup', 'pre', '--hooks', '/mnt/hooks.d'];
      // In namespaces of its own: the attacker does not outlive a test that is killed.
      const apart = ['-m', '--pid', '--fork', '--kill-child', '--mount-proc'];
      const ran = spawnSync('unshare', [...apart, 'sh', '-c', script, 'sh', ...command], {
        encoding: 'utf8',
        env: plainEnvironment,
        timeout: PATIENCE_MS,
      });
      assert.deepEqual(ending(ran), [0, '', '']);
    });

    it('of our own helpers, none that others can write to is started', t => {
      const directory = hooksDirectory(t);
      install(directory, 'print-args', 'x');
      const script = `
        mount -t tmpfs -o mode=755 none /mnt && printf '#!/bin/sh\\necho "$0" >>/mnt/started\\n' >/mnt/evil && chmod 757 /mnt/evil
        for name in env nice setpriv prlimit sleep head bash mkfifo perl cat logger; do
          [ ! -e "/usr/bin/$name" ] || mount --bind /mnt/evil "/usr/bin/$name" || exit 99
        done
        ulimit -Sn 256
        export TKLBAM_HOOKS_STATE=/mnt/state TKLBAM_HOOKS_LOG=/mnt/log
        "$@" wrap backup --hooks "$HOOKS" -- true || exit 98
        "$@" run backup pre --hooks "$HOOKS" --timeout 1m
        [ ! -e /mnt/started ]`;
      const ran = spawnSync('unshare', ['-m', 'sh', '-c', script, 'sh', ...program.command], {
        encoding: 'utf8',
        env: { ...plainEnvironment, HOOKS: directory },
        timeout: PATIENCE_MS,
      });
      const line = (state: string): string => `[${directory}/x][backup][${state}]\n`;
      assert.deepEqual(ending(ran), [0, line('pre'), line('pre') + line('post')]);
    });

    it('a file system that a user mounted is not even looked at', t => {
      // Nobody answers there: whoever asks waits for ever.
      const mount = `
        import ctypes, os, sys
        fd = os.open('/dev/fuse', os.O_RDWR)
        os.set_inheritable(fd, True)
        options = f'fd={fd},rootmode=40000,user_id=65534,group_id=65534,allow_other'.encode()
        for directory in sys.argv[1].split(':'):
            os.mkdir(directory)
            if ctypes.CDLL(None, use_errno=True).mount(b'evil', directory.encode(), b'fuse', 0, options):
                raise OSError(ctypes.get_errno(), 'mount')
            break
        os.execvp(sys.argv[2], sys.argv[2:])`.replaceAll(/^ {8}/gm, '');
      const directory = hooksDirectory(t);
      const evil = join(dirname(directory), 'evil');
      place(directory, 'a-interpreter', `#!${evil}/sh\n`);
      symlinkSync(join(evil, 'x'), join(directory, 'b-link'));
      install(directory, 'succeed', 'c');
      const inFuse = (...words: string[]) =>
        ending(
          spawnSync('unshare', ['-m', 'python3', '-c', mount, evil, ...program.command, ...words], {
            encoding: 'utf8',
            cwd: '/',
            env: plainEnvironment,
            timeout: 60_000,
            killSignal: 'SIGKILL',
          }),
        );
      const why = `'${evil}' was mounted by user 65534`;
      const error = (path: string, reason: string): string =>
        `HookError: \`${path} backup pre\` refused: ${reason}\n`;
      assert.deepEqual(inFuse('run', 'backup', 'pre', '--hooks', directory), [
        3,
        '',
        error(
          `${directory}/a-interpreter`,
          `${why}, and its interpreter '${evil}/sh' is in it, no hook was run (use another interpreter, ${disable})`,
        ) + error(`${directory}/b-link`, `${why}, no hook was run (move the hook out of it, ${unlink})`),
      ]);
    });

    it('where somebody else can write, the attack would succeed, and the hook is refused', t => {
      const directory = hooksDirectory(t);
      install(directory, 'succeed', 'x');
      lchownSync(directory, NOBODY, NOBODY);
      const swap = `cd '${directory}' && mv x y && printf '#!/bin/sh\\necho swapped\\n' >x && chmod 755 x`;
      // Without the right to pass through directories that are closed to it, a test below /root could not attack.
      const args = [
        '--reuid=65534',
        '--regid=65534',
        '--clear-groups',
        '--inh-caps=+dac_read_search',
        '--ambient-caps=+dac_read_search',
      ];
      assert.equal(spawnSync('setpriv', [...args, 'sh', '-c', swap]).status, 0);
      assert.equal(pass(directory, 'pre')[0], 3);
    });
  }
}
