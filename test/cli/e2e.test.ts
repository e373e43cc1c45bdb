// What an administrator and tklbam meet, on the source, the built executable and the installed package alike.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  existsSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { NO_COMMAND } from '../../src/cli/help.ts';
import {
  ending,
  hooksDirectory,
  install,
  isRoot,
  place,
  plainEnvironment,
  programs,
  type RunOptions,
  run,
  scratch,
} from '../support/harness.ts';

for (const program of programs) {
  const it = (title: string, body: (t: TestContext) => void): void => {
    test(`${program.name}: ${title}`, body);
  };
  const hooks = (args: readonly string[], options: RunOptions = {}) => ending(run(program, args, options));
  const backupPre = (directory: string, options: RunOptions = {}) =>
    hooks(['run', 'backup', 'pre', '--hooks', directory], options);

  it('no hooks, nothing said', t => {
    assert.deepEqual(backupPre(hooksDirectory(t)), [0, '', '']);
  });

  it('what could not be written is told, and no success', t => {
    const directory = hooksDirectory(t);
    const message = 'tklbam-hooks: cannot write to standard output: no space left on the device (ENOSPC)\n';
    for (const words of [
      'list',
      '--help',
      '--version',
      'status',
      'run backup pre --dry-run',
      'check --json',
    ]) {
      const args = ['-c', '"$@" >/dev/full', 'sh', ...program.command, ...words.split(' ')];
      const env = {
        ...plainEnvironment,
        TKLBAM_HOOKS: directory,
        TKLBAM_HOOKS_STATE: directory,
        TKLBAM_HOOKS_LOG: join(directory, 'log'),
      };
      install(directory, 'succeed');
      const ran = spawnSync('sh', args, { cwd: '/', encoding: 'utf8', env });
      assert.deepEqual(ending(ran), [1, '', message], words);
    }
  });

  it('a directory that is named has to be there', () => {
    const text = "HookError: there is no hooks directory '/nonexistent', no hook was run";
    const line = `${text} (make it, or correct what names it)\n`;
    assert.deepEqual(backupPre('/nonexistent'), [1, '', line]);
    assert.deepEqual(hooks(['run', 'backup', 'pre'], { env: { TKLBAM_HOOKS: '/nonexistent' } }), [
      1,
      '',
      line,
    ]);
    const [status, stdout] = hooks(['list', '--hooks', '/nonexistent']);
    assert.equal(status, 0);
    assert.match(stdout, /^\/nonexistent: no such directory, though it is named: an error$/m);
  });

  for (const state of ['pre', 'inspect', 'post', 'error']) {
    it(`${state}: hooks run in ${state === 'pre' || state === 'inspect' ? 'byte order' : 'reverse'}`, t => {
      const directory = hooksDirectory(t);
      const names = ['10-a', '9-b', 'B', 'a', 'é'];
      for (const name of names) install(directory, 'record', name);
      const record = join(scratch(t), 'record');
      const env = { RECORD: record };
      assert.deepEqual(hooks(['run', 'restore', state, '--hooks', directory], { env }), [0, '', '']);
      const lines = names.map(name => `${name} restore ${state} /\n`);
      const expected = state === 'pre' || state === 'inspect' ? lines : lines.reverse();
      assert.equal(readFileSync(record, 'utf8'), expected.join(''));
    });
  }

  it('a hook gets its path, the operation and the state, whatever its name', t => {
    const directory = hooksDirectory(t);
    const names = [
      '-x',
      '$(id)',
      '*',
      'a b',
      "a'b",
      'a"b',
      'a;id',
      'a`id`',
      'a\nb',
      'a\\b',
      'é漢🙂',
      'n'.repeat(255),
    ];
    for (const name of names) install(directory, 'print-args', name);
    const [status, stdout, stderr] = backupPre(directory);
    const sorted = [...names].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    assert.equal(stdout, sorted.map(name => `[${directory}/${name}][backup][pre]\n`).join(''));
    assert.deepEqual([status, stderr], [0, '']);
  });

  it('a failing hook with an odd name breaks no line', t => {
    const directory = hooksDirectory(t);
    install(directory, 'exit-3', 'a\nb\x1b[31m\\');
    const line = `HookError: \`${directory}/a\\x0ab\\x1b[31m\\\\ backup pre\` non-zero exitcode (3)\n`;
    assert.deepEqual(backupPre(directory), [1, '', line]);
  });

  it('a name that is not UTF-8 is an error that shows it', t => {
    const directory = hooksDirectory(t);
    place(directory, Buffer.from([0x61, 0xff]), '#!/bin/sh\n');
    assert.deepEqual(backupPre(directory), [
      1,
      '',
      `HookError: \`${directory}/a\\xff backup pre\` could not be started: its name is not valid UTF-8, no hook was run ` +
        '(rename it, or chmod -x it to disable it)\n',
    ]);
  });

  it('a script without #! runs under /bin/sh', t => {
    const directory = hooksDirectory(t);
    install(directory, 'no-shebang');
    assert.deepEqual(backupPre(directory), [0, 'shell text: backup pre\n', '']);
  });

  it('stdin, stdout and stderr are the hook’s', t => {
    const directory = hooksDirectory(t);
    install(directory, 'echo-stdin');
    assert.deepEqual(backupPre(directory, { input: 'yes\n' }), [0, 'yes\n', 'reads stdin\n']);
  });

  it('hooks start in the caller’s directory', t => {
    const directory = hooksDirectory(t);
    install(directory, 'record');
    const record = join(directory, '.record');
    backupPre(directory, { cwd: directory, env: { RECORD: record } });
    assert.equal(readFileSync(record, 'utf8'), `record backup pre ${directory}\n`);
  });

  it('hooks start in --cwd', t => {
    const directory = hooksDirectory(t);
    const extras = scratch(t);
    install(directory, 'record');
    const record = join(directory, '.record');
    hooks(['run', 'backup', 'inspect', '--hooks', directory, '--cwd', extras], { env: { RECORD: record } });
    assert.equal(readFileSync(record, 'utf8'), `record backup inspect ${extras}\n`);
  });

  it('a relative --hooks holds although hooks start elsewhere', t => {
    const directory = hooksDirectory(t);
    install(directory, 'print-args');
    const args = ['run', 'backup', 'inspect', '--hooks', 'hooks.d', '--cwd', '/'];
    assert.deepEqual(hooks(args, { cwd: join(directory, '..') }), [
      0,
      `[${directory}/print-args][backup][inspect]\n`,
      '',
    ]);
  });

  it('--cwd that is no directory runs nothing', t => {
    const directory = hooksDirectory(t);
    install(directory, 'print-args');
    assert.deepEqual(hooks(['run', 'backup', 'pre', '--hooks', directory, '--cwd', '/nonexistent']), [
      2,
      '',
      "tklbam-hooks: --cwd '/nonexistent' is not a directory\nTry 'tklbam-hooks help run'.\n",
    ]);
  });

  it('a hook’s environment is the caller’s, less the credentials, with ours', t => {
    const directory = hooksDirectory(t);
    install(directory, 'save-env');
    const saved = join(scratch(t), 'env');
    const env = {
      SAVE_ENV: saved,
      NTPSERVER: 'ntp.example',
      NODE_OPTIONS: '--no-warnings',
      WITH_NEWLINE: 'a\nb',
      EMPTY: '',
      AWS_ACCESS_KEY_ID: 'secret',
      AWS_SECRET_ACCESS_KEY: 'secret',
      X_AMZ_SECURITY_TOKEN: 'secret',
      PASSPHRASE: 'secret',
      PYTHONPATH: '/secret',
      PYTHONHOME: '/secret',
      TKLBAM_HOOK_SESSION: 'of-the-caller',
      TKLBAM_HOOK_SIMULATE: 'yes',
      TKLBAM_HOOK_FAILED: 'stale',
    };
    assert.deepEqual(backupPre(directory, { env }), [0, '', '']);
    const found = readFileSync(saved, 'utf8')
      .split('\0')
      .filter(entry => entry !== '');
    const expected = {
      ...plainEnvironment,
      SAVE_ENV: saved,
      NTPSERVER: 'ntp.example',
      NODE_OPTIONS: '--no-warnings',
      WITH_NEWLINE: 'a\nb',
      EMPTY: '',
      // Of dash, which starts env.
      PWD: '/',
      PATH: '/usr/bin:/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/sbin',
      TKLBAM_HOOK_OPERATION: 'backup',
      TKLBAM_HOOK_STATE: 'pre',
      TKLBAM_HOOK_NAME: 'save-env',
      TKLBAM_HOOK_SESSION: 'of-the-caller',
      TKLBAM_HOOK_SIMULATE: 'yes',
    };
    assert.deepEqual(
      found.sort(),
      Object.entries(expected)
        .map(entry => entry.join('='))
        .sort(),
    );
  });

  it('a session id of its own where the caller gives none', t => {
    const directory = hooksDirectory(t);
    place(directory, 'id', '#!/bin/sh\necho "$TKLBAM_HOOK_SESSION"\n');
    const ids = [backupPre(directory)[1], backupPre(directory)[1]];
    for (const id of ids) assert.match(id, /^[a-z0-9]+-[0-9]+\n$/);
    assert.notEqual(ids[0], ids[1]);
  });

  it('pre stops at the first failure', t => {
    const directory = hooksDirectory(t);
    install(directory, 'print-args', '1');
    install(directory, 'exit-3', '2');
    install(directory, 'print-args', '3');
    assert.deepEqual(backupPre(directory), [
      1,
      `[${directory}/1][backup][pre]\n`,
      `HookError: \`${directory}/2 backup pre\` non-zero exitcode (3), the hooks after it were not run\n`,
    ]);
  });

  it('post runs all and tells each failure', t => {
    const directory = hooksDirectory(t);
    install(directory, 'exit-3', '1');
    install(directory, 'print-args', '2');
    install(directory, 'exit-3', '3');
    assert.deepEqual(hooks(['run', 'backup', 'post', '--hooks', directory]), [
      1,
      `[${directory}/2][backup][post]\n`,
      `HookError: \`${directory}/3 backup post\` non-zero exitcode (3)\n` +
        `HookError: \`${directory}/1 backup post\` non-zero exitcode (3)\n`,
    ]);
  });

  for (const status of [1, 2, 75, 77, 126, 127, 128, 255]) {
    it(`a hook that exits ${status}`, t => {
      const directory = hooksDirectory(t);
      install(directory, 'exit-with');
      const line = `HookError: \`${directory}/exit-with backup pre\` non-zero exitcode (${status})\n`;
      assert.deepEqual(backupPre(directory, { env: { STATUS: String(status) } }), [1, '', line]);
    });
  }

  for (const signal of ['HUP', 'INT', 'KILL', 'PIPE', 'SEGV', 'TERM', 'USR1']) {
    it(`a hook killed by ${signal}`, t => {
      const directory = hooksDirectory(t);
      install(directory, 'kill-self');
      const line = `HookError: \`${directory}/kill-self backup pre\` killed by signal SIG${signal}\n`;
      assert.deepEqual(backupPre(directory, { env: { SIGNAL: signal } }), [1, '', line]);
    });
  }

  const foreign = Buffer.alloc(64);
  foreign.write('\x7fELF\x02\x02\x01', 'latin1');
  foreign.writeUInt16BE(2, 16);
  foreign.writeUInt16BE(22, 18);
  const disable = 'or chmod -x it to disable it';
  const unstartable: [string, (directory: string) => void, string, string][] = [
    [
      'a missing interpreter',
      directory => place(directory, 'x', '#!/nonexistent/sh\n'),
      "its interpreter '/nonexistent/sh' is missing",
      `install that, or correct the first line of the hook, ${disable}`,
    ],
    [
      'an interpreter that is not executable',
      directory => place(directory, 'x', '#!/etc/passwd\n'),
      "its interpreter '/etc/passwd' cannot be executed",
      `correct the first line of the hook, ${disable}`,
    ],
    [
      'a relative interpreter',
      directory => place(directory, 'x', '#!sh\n'),
      "its interpreter 'sh' is not an absolute path",
      `correct the first line of the hook, ${disable}`,
    ],
    [
      'CRLF after #!',
      directory => place(directory, 'x', '#!/bin/sh\r\nexit 0\r\n'),
      'its first line ends in CRLF, as written on Windows',
      `sed -i 's/\\r$//' it, ${disable}`,
    ],
    [
      'a byte order mark',
      directory => place(directory, 'x', '\ufeff#!/bin/sh\n'),
      'it starts with a byte order mark',
      `sed -i '1s/^\\xef\\xbb\\xbf//' it, ${disable}`,
    ],
    [
      'another architecture',
      directory => place(directory, 'x', foreign),
      'it was built for another architecture (ELF machine 22)',
      `install the build for this one, ${disable}`,
    ],
    [
      'garbage',
      directory => place(directory, 'x', 'PK\x03\x04\0\0'),
      'it is neither a script nor a program',
      `replace it, ${disable}`,
    ],
    [
      'a dangling link',
      directory => symlinkSync('/nonexistent/dump', join(directory, 'x')),
      "its target '/nonexistent/dump' is missing",
      'restore the target, or remove the link',
    ],
    [
      'a link to itself',
      directory => symlinkSync('x', join(directory, 'x')),
      'it is a link that leads back to itself',
      'remove the link',
    ],
  ];
  for (const [what, make, reason, remedy] of unstartable) {
    it(`${what}: pre runs nothing, post the others`, t => {
      const directory = hooksDirectory(t);
      install(directory, 'print-args', 'a');
      make(directory);
      const error = (state: string, rest: string): string =>
        `HookError: \`${directory}/x backup ${state}\` could not be started: ${reason}, ${rest} (${remedy})\n`;
      assert.deepEqual(backupPre(directory), [1, '', error('pre', 'no hook was run')]);
      assert.deepEqual(hooks(['run', 'backup', 'post', '--hooks', directory]), [
        1,
        `[${directory}/a][backup][post]\n`,
        error('post', 'the other hooks were run'),
      ]);
    });
  }

  it('a hook that goes away during the run', t => {
    const directory = hooksDirectory(t);
    place(directory, '1', `#!/bin/sh\nrm ${directory}/2\n`);
    install(directory, 'succeed', '2');
    assert.deepEqual(backupPre(directory), [
      1,
      '',
      `HookError: \`${directory}/2 backup pre\` could not be started: it or its interpreter is ` +
        'gone (it was there when the run began)\n',
    ]);
  });

  it('a hook that is open for writing', t => {
    const directory = hooksDirectory(t);
    place(directory, 'x', readFileSync('/bin/true'));
    const fd = openSync(join(directory, 'x'), 'r+');
    t.after(() => closeSync(fd));
    const line = `HookError: \`${directory}/x backup pre\` could not be started: it is open for writing (try again when that is done)\n`;
    assert.deepEqual(backupPre(directory), [1, '', line]);
  });

  const everyKind = (t: TestContext): string => {
    const directory = hooksDirectory(t);
    for (const name of ['10-dump', 'foo.sh', '-x']) install(directory, 'print-args', name);
    for (const name of [
      '.hidden',
      'a~',
      'a.dpkg-dist',
      'a.dpkg-old',
      'a.ucf-old',
      'a.rpmsave',
      'a.bak',
      'a.sig',
      'a.conf',
    ]) {
      install(directory, 'print-args', name);
    }
    place(directory, 'disabled', '#!/bin/sh\n', 0o644);
    place(directory, 'empty', '');
    symlinkSync('/dev/null', join(directory, 'null'));
    mkdirSync(join(directory, 'sub'));
    assert.equal(spawnSync('mkfifo', [join(directory, 'fifo')]).status, 0);
    // Killed, so that it does not take its socket away.
    const listen =
      "require('net').createServer().listen('socket', () => process.kill(process.pid, 'SIGKILL'))";
    assert.equal(spawnSync(process.execPath, ['-e', listen], { cwd: directory }).signal, 'SIGKILL');
    for (const name of ['sub', 'fifo', 'socket']) chmodSync(join(directory, name), 0o755);
    linkSync(join(directory, '10-dump'), join(directory, 'z-hard'));
    symlinkSync('10-dump', join(directory, 'z-link'));
    return directory;
  };

  it('list shows every entry and why, in at most 80 columns', t => {
    const directory = everyKind(t);
    const [status, stdout, stderr] = hooks(['list', '--hooks', directory]);
    assert.deepEqual([status, stderr], [0, '']);
    const named = 'has the name of a backup, package manager or data file';
    const indented = `\n                 ${named}`;
    assert.equal(
      stdout,
      `${directory}:
  enabled      -x
  passed-over  .hidden  ${named}
  enabled      10-dump
  passed-over  a.bak  ${named}
  passed-over  a.conf  has the name of a settings file
  passed-over  a.dpkg-dist${indented}
  passed-over  a.dpkg-old${indented}
  passed-over  a.rpmsave  ${named}
  passed-over  a.sig  ${named}
  passed-over  a.ucf-old  ${named}
  passed-over  a~  ${named}
  disabled     disabled  is not executable (chmod +x enables it)
  passed-over  empty  is masked (empty, or a link to /dev/null)
  passed-over  fifo  is not a file
  enabled      foo.sh
  passed-over  null  is masked (empty, or a link to /dev/null)
  passed-over  socket  is not a file
  passed-over  sub  is not a file
  enabled      z-hard
  enabled      z-link

/nonexistent/profile/hooks.d: no such directory, so no hooks
`,
    );
  });

  it('list fits 80 columns whatever the names', t => {
    const directory = hooksDirectory(t);
    for (const name of ['n'.repeat(255), '漢'.repeat(85), 'a\nb', '🙂'.repeat(60)])
      install(directory, 'succeed', name);
    place(directory, 'm'.repeat(255), '#!/nonexistent/interpreter/with/a/rather/long/path/to/it/indeed\n');
    const [, stdout] = hooks(['list', '--hooks', directory, '--profile', '/nonexistent']);
    const entries = stdout.split('\n').slice(1, -3);
    assert.equal(entries.filter(line => line.startsWith('  enabled')).length, 4);
    for (const line of entries) {
      assert.ok(line.replace(/[^\0-\u024f]/gu, '..').length <= 80, line);
    }
  });

  for (const state of ['pre', 'post']) {
    it(`list, --dry-run and run agree in ${state}`, t => {
      const directory = everyKind(t);
      const listed: unknown = JSON.parse(hooks(['list', 'backup', state, '--hooks', directory, '--json'])[1]);
      const enabled = enabledPaths(listed);
      const dry = hooks(['run', 'backup', state, '--hooks', directory, '--dry-run']);
      assert.deepEqual(dry, [0, enabled.map(path => `${path} backup ${state}\n`).join(''), '']);
      const ran = hooks(['run', 'backup', state, '--hooks', directory]);
      assert.deepEqual(ran, [0, enabled.map(path => `[${path}][backup][${state}]\n`).join(''), '']);
    });
  }

  it('JSON is of characters that no terminal acts upon, and the same names', t => {
    const directory = hooksDirectory(t);
    const names = ['a\u009b31m', 'b\u202ecod', 'c\u2028', 'd\x7f', 'e\u{e0041}', 'é漢🙂'];
    for (const name of names) place(directory, name, '#!/x\n');
    for (const command of ['list', 'check']) {
      const [, stdout] = hooks([command, '--hooks', directory, '--json']);
      assert.doesNotMatch(stdout.replaceAll('\n', ''), /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
      const { hooks: listed, findings } = JSON.parse(stdout);
      const found = (listed ?? findings).map(({ name }: { name: string }) => name);
      assert.deepEqual(found.sort(), [...names].sort());
    }
  });

  it('list --json holds the directories and every entry', t => {
    const directory = hooksDirectory(t);
    install(directory, 'succeed', 'a');
    place(directory, 'b', '#!/bin/sh\n', 0o644);
    place(directory, 'c\n', '#!/x\n');
    const [status, stdout, stderr] = hooks(['list', 'restore', 'post', '--hooks', directory, '--json']);
    assert.deepEqual([status, stderr], [0, '']);
    assert.deepEqual(JSON.parse(stdout), {
      operation: 'restore',
      state: 'post',
      directories: [
        { source: 'local', path: directory, state: 'read', error: null, refused: null },
        {
          ...{ source: 'profile', path: '/nonexistent/profile/hooks.d' },
          ...{ state: 'absent', error: null, refused: null },
        },
      ],
      hooks: [
        {
          name: 'c\n',
          path: `${directory}/c\n`,
          source: 'local',
          status: 'broken',
          reason: `its interpreter '/x' is missing (install that, or correct the first line of the hook, ${disable})`,
          timeoutSeconds: 21600,
          failure: 'stop',
        },
        {
          name: 'b',
          path: `${directory}/b`,
          source: 'local',
          status: 'disabled',
          reason: 'is not executable (chmod +x enables it)',
          timeoutSeconds: 21600,
          failure: 'stop',
        },
        {
          name: 'a',
          path: `${directory}/a`,
          source: 'local',
          status: 'enabled',
          reason: null,
          timeoutSeconds: 21600,
          failure: 'stop',
        },
      ],
    });
  });

  it('list shows what a hook asks for', t => {
    const directory = hooksDirectory(t);
    place(directory, 'a', '#!/bin/sh\n# tklbam-hooks: timeout=20m failure=warn\n');
    place(directory, 'b', '#!/bin/sh\n# tklbam-hooks: timeout=0\n# tklbam-hooks: tiemout=5m\n');
    install(directory, 'succeed', 'c');
    const args = ['list', '--hooks', directory];
    assert.deepEqual(hooks(args), [
      0,
      `${directory}:
  enabled      a  timeout=20m, failure=warn
  enabled      b
                 timeout=0, line 3: cannot read 'tiemout=5m', so the line is not
                 used
  enabled      c

/nonexistent/profile/hooks.d: no such directory, so no hooks
`,
      '',
    ]);
    const listed = JSON.parse(hooks([...args, '--json', '--timeout', '5m'])[1]);
    assert.deepEqual(
      listed.hooks.map(({ timeoutSeconds, failure }: Record<string, unknown>) => [timeoutSeconds, failure]),
      [
        [1200, 'warn'],
        [null, 'stop'],
        [300, 'stop'],
      ],
    );
  });

  it('--dry-run runs nothing, and fails as the run would', t => {
    const directory = hooksDirectory(t);
    place(directory, 'a', `#!/bin/sh\ntouch ${directory}/ran\n`);
    assert.deepEqual(hooks(['run', 'backup', 'pre', '--hooks', directory, '--dry-run']), [
      0,
      `${directory}/a backup pre\n`,
      '',
    ]);
    place(directory, 'b', '#!/x\n');
    const [status, stdout, stderr] = hooks(['run', 'backup', 'pre', '--hooks', directory, '--dry-run']);
    assert.deepEqual([status, stdout], [1, '']);
    assert.match(stderr, /^HookError: .* its interpreter '\/x' is missing/);
    assert.ok(!existsSync(join(directory, 'ran')));
  });

  it('--only runs those alone', t => {
    const directory = hooksDirectory(t);
    for (const name of ['a', 'b', 'c', '-d']) install(directory, 'print-args', name);
    assert.deepEqual(hooks(['run', 'backup', 'pre', '--hooks', directory, '--only', 'b', '--only=-d']), [
      0,
      `[${directory}/-d][backup][pre]\n[${directory}/b][backup][pre]\n`,
      '',
    ]);
  });

  it('--only with a hook that is not there, or is disabled', t => {
    const directory = hooksDirectory(t);
    install(directory, 'print-args', 'a');
    install(directory, 'print-args', 'dump');
    place(directory, 'b', '#!/bin/sh\n', 0o644);
    place(directory, 'mail', '#!/bin/sh\n', 0o644);
    const error = (text: string) => [
      2,
      '',
      `tklbam-hooks: no hook to run: ${text}\nTry 'tklbam-hooks list'.\n`,
    ];
    const only = (name: string) =>
      hooks(['run', 'backup', 'pre', '--hooks', directory, '--only', 'a', '--only', name]);
    assert.deepEqual(only('x'), error("'x' is in none of the hooks directories"));
    assert.deepEqual(only('dmup'), error("'dmup' is in none of the hooks directories, did you mean 'dump'?"));
    // One that is disabled would not help.
    assert.deepEqual(only('mial'), error("'mial' is in none of the hooks directories"));
    assert.deepEqual(only('b'), error("'b' is not executable (chmod +x enables it)"));
  });

  it('--verbose says which hook starts, how it ended and how long it took', t => {
    const directory = hooksDirectory(t);
    install(directory, 'succeed', 'a');
    install(directory, 'exit-3', 'b');
    const [status, stdout, stderr] = hooks(['run', 'backup', 'post', '--hooks', directory, '--verbose']);
    assert.deepEqual([status, stdout], [1, '']);
    assert.equal(
      stderr.replace(/after \d+\.\d s/g, 'after N s'),
      `tklbam-hooks: '${directory}/b' starts (backup post)
tklbam-hooks: '${directory}/b' non-zero exitcode (3) after N s
HookError: \`${directory}/b backup post\` non-zero exitcode (3)
tklbam-hooks: '${directory}/a' starts (backup post)
tklbam-hooks: '${directory}/a' succeeded after N s
`,
    );
  });

  it('a hooks directory that is a file: nothing runs', t => {
    const directory = scratch(t);
    place(directory, 'file', '');
    const line = `HookError: cannot read the hooks directory '${directory}/file': not a directory (ENOTDIR), no hook was run\n`;
    assert.deepEqual(backupPre(join(directory, 'file')), [1, '', line]);
  });

  it('a current directory that is gone', t => {
    const directory = hooksDirectory(t);
    install(directory, 'record');
    const record = join(directory, '.record');
    const gone = join(scratch(t), 'gone');
    const script = 'mkdir "$0" && cd "$0" && rmdir "$0" && exec "$@"';
    const args = ['-c', script, gone, ...program.command, 'run', 'backup', 'pre', '--hooks', directory];
    const ran = spawnSync('sh', args, { encoding: 'utf8', env: { ...plainEnvironment, RECORD: record } });
    assert.deepEqual(ending(ran), [0, '', '']);
    assert.equal(readFileSync(record, 'utf8'), 'record backup pre /\n');
    rmSync(record);
  });

  it('usage errors are two lines on stderr', () => {
    const usage = (text: string, of = '--help') => [
      2,
      '',
      `tklbam-hooks: ${text}\nTry 'tklbam-hooks ${of}'.\n`,
    ];
    assert.deepEqual(hooks([]), usage(NO_COMMAND));
    assert.deepEqual(hooks(['run', 'backup', 'pre', '--lsit']), usage("unknown option '--lsit'", 'help run'));
    assert.deepEqual(
      hooks(['run', 'backup']),
      usage("'run' needs OPERATION STATE, and STATE is missing", 'help run'),
    );
    assert.deepEqual(hooks(['--inspekt']), usage("unknown option '--inspekt', did you mean '--inspect'?"));
    assert.deepEqual(hooks(['--v8-options']), usage("unknown option '--v8-options'"));
  });

  it('--help is on stdout', () => {
    for (const args of [['--help'], ['run', '--help'], ['list', '-h'], ['fixclock', '--help']]) {
      const [status, stdout, stderr] = hooks(args);
      assert.deepEqual([status, stderr], [0, '']);
      assert.match(stdout, /^Usage: tklbam-hooks /);
    }
  });

  it('no colour where stderr is no terminal; on one, unless NO_COLOR is set or TERM is not', t => {
    const directory = hooksDirectory(t);
    install(directory, 'exit-3');
    const line = `HookError: \`${directory}/exit-3 backup pre\` non-zero exitcode (3)`;
    assert.equal(backupPre(directory, { env: { TERM: 'xterm' } })[2], `${line}\n`);
    const onTerminal = (env: Record<string, string>): string => {
      const words = [...program.command, 'run', 'backup', 'pre', '--hooks', directory];
      const args = [
        '--quiet',
        '--return',
        '--command',
        words.map(word => `'${word}'`).join(' '),
        '/dev/null',
      ];
      return spawnSync('script', args, {
        encoding: 'utf8',
        env: { ...plainEnvironment, TERM: 'xterm', ...env },
      }).stdout;
    };
    assert.equal(onTerminal({}), `\x1b[31m${line}\x1b[39m\r\n`);
    assert.equal(onTerminal({ NO_COLOR: '1' }), `${line}\r\n`);
    assert.equal(onTerminal({ TERM: '' }), `${line}\r\n`);
  });

  it('a reader that goes away does not stop the run', t => {
    const directory = hooksDirectory(t);
    install(directory, 'record', 'a');
    install(directory, 'exit-3', 'b');
    const record = join(directory, '.record');
    const script = '{ "$@" 2>&1; echo $? >"$0"; } | true';
    const args = [
      '-c',
      script,
      join(directory, '.status'),
      ...program.command,
      'run',
      'backup',
      'post',
      '-v',
      '--hooks',
      directory,
    ];
    spawnSync('sh', args, { cwd: '/', env: { ...plainEnvironment, RECORD: record } });
    assert.equal(readFileSync(record, 'utf8'), 'a backup post /\n');
    assert.equal(readFileSync(join(directory, '.status'), 'utf8'), '1\n');
  });

  // In a user name space of an ordinary user, / belongs to nobody, and hooks are refused for that.
  if (program.name !== 'package' && isRoot) {
    it('values of /etc/default/tklbam-hooks stand below the caller’s', t => {
      const directory = hooksDirectory(t);
      place(directory, 'show', '#!/bin/sh\necho "$A $B"\n');
      const defaults = `A="of the file"\nB=file\nTKLBAM_HOOKS=${directory}\nnonsense\n`;
      // A name space of its own: this machine's /etc stays as it is.
      const script =
        'mount -t tmpfs -o mode=755 none /etc/default && printf %s "$0" >/etc/default/tklbam-hooks && exec "$@"';
      const args = ['-m', 'sh', '-c', script, defaults, ...program.command, 'run', 'backup', 'pre'];
      const ran = spawnSync('unshare', args, { encoding: 'utf8', env: { ...plainEnvironment, B: 'caller' } });
      const warning = 'tklbam-hooks: /etc/default/tklbam-hooks: line 4 is not NAME=VALUE, ignoring it\n';
      assert.deepEqual(ending(ran), [0, 'of the file caller\n', warning]);
    });

    it('settings that others can write are refused, and so is what would read them', t => {
      const directory = hooksDirectory(t);
      place(directory, 'a', '#!/bin/sh\necho ran\n');
      const refused = (change: string, words: string): [number | null, string, string] => {
        const script = `umask 022; mount -t tmpfs -o mode=755 none /etc/default && : >/etc/default/tklbam-hooks && ${change} && exec "$@"`;
        const args = ['-m', 'sh', '-c', script, 'sh', ...program.command, ...words.split(' ')];
        const ran = spawnSync('unshare', args, {
          encoding: 'utf8',
          env: { ...plainEnvironment, TKLBAM_HOOKS: directory },
        });
        return ending(ran);
      };
      const message = (reason: string): string =>
        `HookError: the settings /etc/default/tklbam-hooks are refused: ${reason}\n`;
      const file = "'/etc/default/tklbam-hooks'";
      const writable = message(`${file} is writable by everybody (chmod go-w ${file})`);
      const mode = 'chmod 666 /etc/default/tklbam-hooks';
      for (const words of ['run backup pre', 'wrap backup -- echo never', 'check', 'recover'])
        assert.deepEqual(refused(mode, words), [3, '', writable], words);
      const [status, listed, said] = refused(mode, 'list');
      assert.deepEqual([status, /enabled +a/.test(listed), said], [0, true, writable]);
      const [other] = refused('chown 1000 /etc/default/tklbam-hooks', 'run backup pre');
      assert.equal(other, 3);
      const [parent] = refused('chmod 777 /etc/default', 'run backup pre');
      assert.equal(parent, 3);
      assert.deepEqual(refused('true', 'run backup pre'), [0, 'ran\n', '']);
      // Nobody waits for a FIFO.
      const fifo = 'rm /etc/default/tklbam-hooks && mkfifo /etc/default/tklbam-hooks';
      const line = 'tklbam-hooks: /etc/default/tklbam-hooks is not a file, going on without it\n';
      assert.deepEqual(refused(fifo, 'run backup pre'), [0, 'ran\n', line]);
    });

    it('a noexec mount', t => {
      const directory = hooksDirectory(t);
      const script =
        'mount -t tmpfs -o noexec none "$0" && printf "#!/bin/sh\\n" >"$0/x" && chmod 755 "$0" "$0/x" && exec "$@"';
      const command = [...program.command, 'run', 'backup', 'pre', '--hooks', directory];
      const args = ['-m', 'sh', '-c', script, directory, ...command];
      const ran = spawnSync('unshare', args, { encoding: 'utf8', env: plainEnvironment });
      assert.deepEqual(ending(ran), [
        1,
        '',
        `HookError: \`${directory}/x backup pre\` could not be started: its file system is mounted noexec, no hook was run ` +
          `(remount it with exec, ${disable})\n`,
      ]);
    });
  }

  if (!isRoot) {
    it('a hook that this user may not execute', t => {
      const directory = hooksDirectory(t);
      place(directory, 'x', '#!/bin/sh\n', 0o455);
      assert.deepEqual(backupPre(directory), [
        1,
        '',
        `HookError: \`${directory}/x backup pre\` could not be started: permission denied, no hook was run (run as root, or chmod a+rx it)\n`,
      ]);
    });
  }
}

function enabledPaths(listed: unknown): string[] {
  assert.ok(
    typeof listed === 'object' && listed !== null && 'hooks' in listed && Array.isArray(listed.hooks),
  );
  return listed.hooks.filter(({ status }) => status === 'enabled').map(({ path }) => path);
}
