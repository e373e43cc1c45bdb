// What `check` finds by day, so that nobody meets it at night.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { LIBRARY } from '../../src/cli/grammar.ts';
import { check } from '../../src/hooks/check.ts';
import { unknownSettings } from '../../src/hooks/check-text.ts';
import { discover } from '../../src/hooks/discover.ts';
import type { Finding, Judged } from '../../src/types.ts';
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
import { makeKeys } from '../support/keys.ts';
import { repository } from '../support/repository.ts';

const SCRIPT = '#!/bin/sh\nexit 0\n';
const keys = makeKeys(SCRIPT);

const disable = 'or chmod -x it to disable it';
const hasName = 'it has the name of a backup, package manager or data file, and is executable';
const noClockTool = {
  kind: 'no-clock-tool',
  reason: 'none of ntpdate, chronyd, sntp, ntpdig is installed',
  remedy: 'apt install chrony',
} as const;

interface Expected {
  readonly kind: Finding['kind'];
  /** A pattern where it is in the words of a shell. */
  readonly reason: string | RegExp;
  readonly remedy: string | RegExp;
}

interface Case {
  readonly what: string;
  readonly name: string;
  readonly findings: readonly Expected[];
  readonly make: (path: string, directory: string, name: string) => void;
}

const foreign = Buffer.alloc(64);
foreign.write('\x7fELF\x02\x02\x01', 'latin1');
foreign.writeUInt16BE(2, 16);
foreign.writeUInt16BE(22, 18);

const holds =
  (content: string | Uint8Array, mode = 0o755): Case['make'] =>
  (_path, directory, name) =>
    place(directory, name, content, mode);
const noInterpreterLine: Expected = {
  kind: 'no-interpreter-line',
  reason: 'it has no #! line, so /bin/sh runs it',
  remedy: 'begin it with #!/bin/sh',
};
const syntax = (shell: string, said: string): Expected => ({
  kind: 'syntax',
  reason: new RegExp(`^${shell} -n says: (?:line )?${said}`, 'i'),
  remedy: `correct that, ${disable}`,
});
const carriageReturn = 'its first line ends in CRLF, as written on Windows';

const cases: readonly Case[] = [
  // All is well.
  { what: 'a shell script', name: 'sh', findings: [], make: holds(SCRIPT) },
  { what: 'a bash script', name: 'bash', findings: [], make: holds('#!/bin/bash\na=(1 2)\n[[ $a ]]\n') },
  { what: 'bash by way of env', name: 'env', findings: [], make: holds('#!/usr/bin/env bash\na=(1 2)\n') },
  { what: 'env with options', name: 'env-S', findings: [], make: holds('#!/usr/bin/env -S sh -e\n') },
  { what: 'what is no shell script', name: 'perl', findings: [], make: holds('#!/usr/bin/perl\nif (\n') },
  { what: 'a program', name: 'elf', findings: [], make: path => copyFileSync('/bin/true', path) },
  {
    what: 'a header that can be read',
    name: 'header',
    findings: [],
    make: holds('#!/bin/sh\n# tklbam-hooks: timeout=20m failure=warn\n'),
  },
  {
    what: 'a hook that is switched off, whatever is in it',
    name: 'off',
    findings: [],
    make: holds('if (', 0o644),
  },
  { what: 'a mask', name: 'mask', findings: [], make: path => symlinkSync('/dev/null', path) },
  { what: 'a mask that is an empty file', name: 'empty-mask', findings: [], make: holds('', 0o644) },
  { what: 'a directory', name: 'directory', findings: [], make: path => mkdirSync(path) },
  {
    what: 'a FIFO',
    name: 'fifo',
    findings: [],
    make: path => assert.equal(spawnSync('mkfifo', ['-m', '755', path]).status, 0),
  },
  { what: 'a backup that is not executable', name: 'a.bak', findings: [], make: holds(SCRIPT, 0o644) },
  { what: 'data that is not executable', name: 'a.conf', findings: [], make: holds('a=b', 0o644) },

  // Refused.
  {
    what: 'mode 777',
    name: 'mode-777',
    findings: [
      { kind: 'refused', reason: 'it is writable by everybody', remedy: `chmod go-w it, ${disable}` },
    ],
    make: holds(SCRIPT, 0o777),
  },
  {
    what: 'set-id',
    name: 'mode-4755',
    findings: [
      { kind: 'refused', reason: 'it is set-user-ID or set-group-ID', remedy: `chmod ug-s it, ${disable}` },
    ],
    make: holds(SCRIPT, 0o4755),
  },

  // Cannot be started.
  {
    what: 'a missing interpreter',
    name: 'interpreter',
    findings: [
      {
        kind: 'broken',
        reason: "its interpreter '/nonexistent/sh' is missing",
        remedy: `install that, or correct the first line of the hook, ${disable}`,
      },
    ],
    make: holds('#!/nonexistent/sh\n'),
  },
  {
    what: 'an interpreter that env will not find',
    name: 'interpreter-env',
    findings: [
      {
        kind: 'broken',
        reason: "its interpreter 'nonexistent-sh' is in no directory of PATH",
        remedy: `install that, or correct the first line of the hook, ${disable}`,
      },
    ],
    make: holds('#!/usr/bin/env nonexistent-sh\n'),
  },
  {
    what: 'a relative interpreter',
    name: 'interpreter-relative',
    findings: [
      {
        kind: 'broken',
        reason: "its interpreter 'sh' is not an absolute path",
        remedy: `correct the first line of the hook, ${disable}`,
      },
    ],
    make: holds('#!sh\n'),
  },
  {
    what: 'CRLF after #!',
    name: 'crlf',
    findings: [{ kind: 'broken', reason: carriageReturn, remedy: `sed -i 's/\\r$//' it, ${disable}` }],
    make: holds('#!/bin/sh\r\nexit 0\r\n'),
  },
  {
    what: 'a byte order mark',
    name: 'bom',
    findings: [
      {
        kind: 'broken',
        reason: 'it starts with a byte order mark',
        remedy: `sed -i '1s/^\\xef\\xbb\\xbf//' it, ${disable}`,
      },
    ],
    make: holds(`\ufeff${SCRIPT}`),
  },
  {
    what: 'another architecture',
    name: 'foreign',
    findings: [
      {
        kind: 'broken',
        reason: 'it was built for another architecture (ELF machine 22)',
        remedy: `install the build for this one, ${disable}`,
      },
    ],
    make: holds(foreign),
  },
  {
    what: 'garbage',
    name: 'garbage',
    findings: [
      { kind: 'broken', reason: 'it is neither a script nor a program', remedy: `replace it, ${disable}` },
    ],
    make: holds('PK\x03\x04\0\0'),
  },
  {
    what: 'a dangling link, its target of two lines',
    name: 'dangling',
    findings: [
      {
        kind: 'broken',
        reason: "its target '/nonexistent/a\\x0ab' is missing",
        remedy: 'restore the target, or remove the link',
      },
    ],
    make: path => symlinkSync('/nonexistent/a\nb', path),
  },
  {
    what: 'a link to itself',
    name: 'loop',
    findings: [
      { kind: 'broken', reason: 'it is a link that leads back to itself', remedy: 'remove the link' },
    ],
    make: path => symlinkSync('loop', path),
  },
  {
    what: 'a name of two lines',
    name: 'a\nb',
    findings: [
      {
        kind: 'broken',
        reason: "its interpreter '/x' is missing",
        remedy: `install that, or correct the first line of the hook, ${disable}`,
      },
    ],
    make: holds('#!/x\n'),
  },

  // Runs otherwise than its author thinks, or not at all.
  { what: 'no #!', name: 'no-line', findings: [noInterpreterLine], make: holds('exit 0\n') },
  {
    what: 'no #!, and a syntax error',
    name: 'no-line-syntax',
    findings: [noInterpreterLine, syntax('sh', '.*syntax error')],
    make: holds('echo (\n'),
  },
  {
    what: 'a carriage return behind an argument of the interpreter',
    name: 'crlf-argument',
    findings: [{ kind: 'carriage-return', reason: carriageReturn, remedy: "sed -i 's/\\r$//' it" }],
    make: holds('#!/bin/sh -e\r\nexit 0\n'),
  },
  {
    what: 'a syntax error for sh',
    name: 'syntax-sh',
    findings: [syntax('sh', '3: Syntax error')],
    make: holds('#!/bin/sh\nif true; then\n'),
  },
  {
    what: 'a syntax error for bash',
    name: 'syntax-bash',
    findings: [syntax('bash', '2: syntax error near unexpected token `fi')],
    make: holds('#!/bin/bash\nfi\n'),
  },
  {
    what: 'a syntax error for bash by way of env',
    name: 'syntax-env',
    findings: [syntax('bash', '3: syntax error: unexpected end of file')],
    make: holds('#!/usr/bin/env bash\nfoo() {\n'),
  },
  {
    what: 'bash’s words in a script for sh',
    name: 'syntax-bashism',
    findings: [syntax('sh', '2: Syntax error')],
    make: holds('#!/bin/sh\na=(1 2)\n'),
  },
  // What env finds, and what it does not.
  {
    what: 'env with an absolute path',
    name: 'env-absolute',
    findings: [],
    make: holds('#!/usr/bin/env /bin/sh\n'),
  },
  ...(
    [
      ['/nonexistent/sh', "its interpreter '/nonexistent/sh' is missing or cannot be executed"],
      ['/usr/bin', "its interpreter '/usr/bin' is missing or cannot be executed"],
      ['-S nonexistent-sh -e', "its interpreter 'nonexistent-sh' is in no directory of PATH"],
      ['-S -i A=b -u C nonexistent-sh', "its interpreter 'nonexistent-sh' is in no directory of PATH"],
      ['--split-string=nonexistent-sh -e', "its interpreter 'nonexistent-sh' is in no directory of PATH"],
    ] as const
  ).map(
    ([argument, reason], index): Case => ({
      what: `env ${argument}`,
      name: `env-bad-${index}`,
      findings: [
        { kind: 'broken', reason, remedy: `install that, or correct the first line of the hook, ${disable}` },
      ],
      make: holds(`#!/usr/bin/env ${argument}\n`),
    }),
  ),
  {
    what: 'env with options for the interpreter, and without -S',
    name: 'env-options',
    findings: [
      {
        kind: 'broken',
        reason: "env would look for 'sh -e', blanks and all",
        remedy: `begin it with #!/usr/bin/env -S, ${disable}`,
      },
    ],
    make: holds('#!/usr/bin/env sh -e\n'),
  },
  {
    what: 'CRLF behind env -S, which takes it for a blank',
    name: 'env-S-crlf',
    findings: [{ kind: 'carriage-return', reason: carriageReturn, remedy: "sed -i 's/\\r$//' it" }],
    make: holds('#!/usr/bin/env -S sh -e\r\nexit 0\n'),
  },
  {
    what: 'an interpreter of env that others can write to',
    name: 'env-open',
    findings: [
      {
        kind: 'refused',
        reason:
          /^its interpreter '.*\/open-sh' can be changed by others: '.*\/open-sh' is writable by everybody$/,
        remedy: /^chmod go-w '.*\/open-sh', or chmod -x it to disable it$/,
      },
    ],
    make: (_path, directory, name) => {
      mkdirSync(join(directory, 'bin'), { mode: 0o755 });
      place(join(directory, 'bin'), 'open-sh', '#!/bin/sh\ntouch /ran\n', 0o777);
      place(directory, name, `#!/usr/bin/env ${directory}/bin/open-sh\n`);
    },
  },
  {
    what: 'CRLF on a later line',
    name: 'crlf-later',
    findings: [
      {
        kind: 'carriage-return',
        reason: 'line 3 ends in CRLF, as written on Windows',
        remedy: "sed -i 's/\\r$//' it",
      },
    ],
    make: holds('#!/bin/sh\ntrue\nexit 0\r\n'),
  },
  {
    what: 'CRLF on a later line of what is no shell script',
    name: 'crlf-later-perl',
    findings: [],
    make: holds('#!/usr/bin/perl\nexit 0;\r\n'),
  },
  {
    what: 'a header behind the first 4 KiB',
    name: 'header-late',
    findings: [
      {
        kind: 'header',
        reason: 'line 103 is for tklbam-hooks, and behind the first 4 KiB, so it is not used',
        remedy: 'move it to the top',
      },
    ],
    make: holds(`#!/bin/sh\n${`: ${'x'.repeat(48)}\n`.repeat(101)}# tklbam-hooks: timeout=5m\n`),
  },
  {
    what: 'a header without its colon',
    name: 'header-colon',
    findings: [
      {
        kind: 'header',
        reason: "line 2: cannot read '# tklbam-hooks timeout=5m', so the line is not used",
        remedy: 'it takes timeout=DURATION, failure=warn, always, secrets=yes',
      },
    ],
    make: holds('#!/bin/sh\n# tklbam-hooks timeout=5m\n'),
  },
  {
    what: 'post, and never error',
    name: 'no-error',
    findings: [
      {
        kind: 'no-error',
        reason: "it knows 'post' and never 'error', which comes in its place when anything fails",
        remedy: "do in 'error' what is still to be done, or say in a comment why not",
      },
    ],
    make: holds('#!/bin/sh\ncase $2 in pre) : ;; post) : ;; esac\n'),
  },
  {
    what: 'post, and a comment on error',
    name: 'no-error-comment',
    findings: [],
    make: holds('#!/bin/sh\n# error: nothing to do\ncase $2 in post) : ;; esac\n'),
  },
  {
    what: 'post in a comment or in other words',
    name: 'no-post',
    findings: [],
    make: holds('#!/bin/sh\n# not in post\nls /x/post-receive --post\n'),
  },
  {
    what: 'a variable that is withheld',
    name: 'secret',
    findings: [
      {
        kind: 'secret',
        reason: 'it uses TEST_PASSWORD, which is withheld from hooks that do not ask for secrets',
        remedy: "write '# tklbam-hooks: secrets=yes' below its first line",
      },
    ],
    make: holds(
      '#!/bin/sh\n# UNSET_PASSWORD\necho "$TEST_PASSWORD" "$UNSET_PASSWORD" $MY_TEST_PASSWORD_FILE\n',
    ),
  },
  {
    what: 'a variable that is withheld, and asked for',
    name: 'secret-asked',
    findings: [],
    make: holds('#!/bin/sh\n# tklbam-hooks: secrets=yes\necho "$TEST_PASSWORD"\n'),
  },
  { what: 'a README', name: 'README', findings: [], make: holds('Read me.\n', 0o644) },
  {
    what: 'a README that is executable',
    name: 'README.txt',
    findings: [{ kind: 'passed-over', reason: hasName, remedy: 'chmod -x it to disable it' }],
    make: holds('Read me.\n'),
  },
  {
    what: 'a header with two words that mean nothing',
    name: 'header-words',
    findings: [
      {
        kind: 'header',
        reason: "line 3: cannot read 'tiemout=5m failure=\\x1b[31m', so the line is not used",
        remedy: 'it takes timeout=DURATION, failure=warn, always, secrets=yes',
      },
    ],
    make: holds('#!/bin/sh\n\n# tklbam-hooks: tiemout=5m failure=\x1b[31m timeout=1m\n'),
  },
  {
    what: 'an empty hook that is executable',
    name: 'empty',
    findings: [
      { kind: 'empty', reason: 'it is empty, so nothing runs', remedy: 'chmod -x it to disable it' },
    ],
    make: holds(''),
  },
  ...['dpkg-dist', 'dpkg-old', 'dpkg-new', 'ucf-dist'].map(
    (ending): Case => ({
      what: `an executable .${ending}`,
      name: `sh.${ending}`,
      findings: [
        {
          kind: 'passed-over',
          reason: hasName,
          remedy: 'compare it with the hook it was left beside, then remove it',
        },
      ],
      make: holds(SCRIPT),
    }),
  ),
  ...['sh.bak', 'sh~', '.hidden', 'sh.disabled'].map(
    (name): Case => ({
      what: `an executable ${name}`,
      name,
      findings: [{ kind: 'passed-over', reason: hasName, remedy: `rename it to have it run, ${disable}` }],
      make: holds(SCRIPT),
    }),
  ),
];

const matches = (text: string, expected: string | RegExp): boolean =>
  typeof expected === 'string' ? text === expected : expected.test(text);

for (const program of programs) {
  const it = (title: string, body: (t: TestContext) => void): void => {
    test(`${program.name}: ${title}`, body);
  };
  const checks = (directory: string, words: readonly string[] = [], options: RunOptions = {}) =>
    ending(run(program, ['check', '--hooks', directory, ...words], options));
  const asJson = (
    directory: string,
    words: readonly string[] = [],
    options: RunOptions = {},
  ): readonly Finding[] => {
    const [status, stdout, stderr] = checks(directory, ['--json', ...words], options);
    const { findings } = JSON.parse(stdout);
    assert.deepEqual([status, stderr], [findings.length === 0 ? 0 : 1, '']);
    return findings;
  };
  const usage = (text: string) => [2, '', `tklbam-hooks: ${text}\nTry 'tklbam-hooks help check'.\n`];

  test(`${program.name}: check`, async t => {
    const directory = hooksDirectory(t);
    for (const { name, make } of cases) make(join(directory, name), directory, name);
    const options = { env: { TEST_PASSWORD: 'x' } };
    const [status, stdout, stderr] = checks(directory, [], options);
    const all = asJson(directory, [], options);
    const lines = stdout.split('\n').slice(0, -1);
    for (const { what, name, findings } of cases) {
      const kinds = findings.map(({ kind }) => kind).join(', ');
      await t.test(`${what}: ${kinds === '' ? 'all is well' : kinds}`, () => {
        const path = join(directory, name);
        const own = all.filter(each => each.name === name);
        assert.deepEqual(
          own.map(each => [each.path, each.kind]),
          findings.map(({ kind }) => [path, kind]),
        );
        for (const [index, { reason, remedy }] of findings.entries()) {
          assert.ok(matches(own[index]?.reason ?? '', reason), own[index]?.reason);
          assert.ok(matches(own[index]?.remedy ?? '', remedy), own[index]?.remedy);
        }
        const shown = `'${path.replace('\n', '\\x0a')}': `;
        assert.deepEqual(
          lines.filter(line => line.startsWith(shown)),
          own.map(({ reason, remedy }) => `${shown}${reason} (${remedy})`),
        );
      });
    }
    await t.test('each finding is one line, in byte order of the names, and nothing else is said', () => {
      assert.deepEqual([status, stderr, lines.length], [1, '', all.length]);
      assert.equal(all.length, cases.flatMap(({ findings }) => findings).length);
      const names = all.map(({ name }) => name ?? '');
      assert.deepEqual(names, [...names].sort());
    });
  });

  it('all is well: nothing said, status 0', t => {
    const directory = hooksDirectory(t);
    assert.deepEqual(checks(directory), [0, '', '']);
    install(directory, 'exit-3');
    assert.deepEqual(checks(directory), [0, '', '']);
    assert.deepEqual(checks(directory, ['--json']), [0, '{\n  "findings": []\n}\n', '']);
  });

  it('a directory that is named and absent', () => {
    const reason = 'there is no such hooks directory, though it is named: nothing would run';
    const line = `'/nonexistent/hooks.d': ${reason} (make it, or correct --hooks or TKLBAM_HOOKS)\n`;
    assert.deepEqual(checks('/nonexistent/hooks.d'), [1, line, '']);
  });

  it('no hook is run, and nothing of the caller’s environment either', t => {
    const directory = hooksDirectory(t);
    const marker = join(scratch(t), 'ran');
    const body = `touch '${marker}'\n`;
    for (const [name, line] of Object.entries({
      none: '',
      sh: '#!/bin/sh\n',
      bash: '#!/bin/bash\n',
      env: '#!/usr/bin/env bash\n',
    })) {
      place(directory, name, line + body);
      place(directory, `${name}-broken`, `${line}${body}fi\n`);
      place(directory, `${name}-substituted`, `${line}x="$(${body})"\n: <<EOF\n$(${body})\nEOF\n`);
    }
    place(directory, 'startup', body);
    const env = {
      ENV: join(directory, 'startup'),
      BASH_ENV: join(directory, 'startup'),
      SHELLOPTS: 'xtrace',
    };
    assert.equal(checks(directory, [], { env })[0], 1);
    assert.ok(!existsSync(marker));
  });

  it('a shell gets -n and the path, and nothing of the caller’s environment', t => {
    const directory = hooksDirectory(t);
    place(directory, 'x', '#!/usr/bin/env bash\n');
    const bin = scratch(t);
    const log = join(bin, 'log');
    place(bin, 'bash', `#!/bin/sh\n{ printf '[%s]' "$@"; echo; env | sort; } >'${log}'\n`);
    const env = { PATH: `${bin}:/usr/bin:/bin`, BASH_ENV: '/x', SHELLOPTS: 'noexec', LD_LIBRARY_PATH: '/x' };
    assert.deepEqual(checks(directory, [], { env }), [0, '', '']);
    const path = '/usr/sbin:/usr/bin:/sbin:/bin';
    // PWD is of the shell that the log is written by.
    assert.equal(readFileSync(log, 'utf8'), `[-n][${directory}/x]\nLC_ALL=C\nPATH=${path}\nPWD=/\n`);
  });

  it('a directory that cannot be read', t => {
    const directory = scratch(t);
    place(directory, 'file', '');
    symlinkSync('loop', join(directory, 'loop'));
    for (const [name, why] of [
      ['file', 'not a directory (ENOTDIR)'],
      ['loop', 'too many links (ELOOP)'],
    ] as const) {
      const path = join(directory, name);
      const reason = `the hooks directory cannot be read: ${why}`;
      assert.deepEqual(checks(path), [1, `'${path}': ${reason} (mend that)\n`, '']);
      assert.deepEqual(asJson(path), [{ name: null, path, kind: 'unreadable', reason, remedy: 'mend that' }]);
    }
  });

  it('a directory that others can write to: each hook in it is refused', t => {
    const directory = hooksDirectory(t);
    for (const name of ['a', 'b']) install(directory, 'succeed', name);
    chmodSync(directory, 0o775);
    const why = `'${directory}' is writable by its group (chmod go-w '${directory}', ${disable})\n`;
    assert.deepEqual(checks(directory), [1, `'${directory}/a': ${why}'${directory}/b': ${why}`, '']);
  });

  it('names: those alone', t => {
    const directory = hooksDirectory(t);
    for (const name of ['a', 'b', '-c']) place(directory, name, '');
    place(directory, 'good', SCRIPT);
    const empty = (name: string): string =>
      `'${directory}/${name}': it is empty, so nothing runs (chmod -x it to disable it)\n`;
    assert.deepEqual(checks(directory, ['a']), [1, empty('a'), '']);
    assert.deepEqual(checks(directory, ['b', 'a']), [1, empty('a') + empty('b'), '']);
    assert.deepEqual(checks(directory, ['good']), [0, '', '']);
    assert.deepEqual(checks(directory, ['--', '-c']), [1, empty('-c'), '']);
  });

  it('a name that is not there', t => {
    const directory = hooksDirectory(t);
    place(directory, 'dump', SCRIPT);
    const absent = 'it is in none of the hooks directories';
    const reason = `${absent}, did you mean 'dump'?`;
    const remedy = "see 'tklbam-hooks list'";
    assert.deepEqual(checks(directory, ['dump', 'dmup']), [1, `'dmup': ${reason} (${remedy})\n`, '']);
    assert.deepEqual(checks(directory, ['mail']), [1, `'mail': ${absent} (${remedy})\n`, '']);
    assert.deepEqual(asJson(directory, ['dmup']), [
      { name: 'dmup', path: 'dmup', kind: 'no-such-entry', reason, remedy },
    ]);
  });

  it('the one that is switched off where all others run is told, a ready hook and those in a crowd are not', t => {
    const directory = hooksDirectory(t);
    place(directory, 'README', 'Read me.\n', 0o644);
    for (const name of ['a', 'b']) place(directory, name, SCRIPT);
    for (const ready of ['fixclock', ...LIBRARY]) {
      place(directory, ready, SCRIPT, 0o644);
      assert.deepEqual(checks(directory), [0, '', ''], ready);
      rmSync(join(directory, ready));
    }
    place(directory, 'c', SCRIPT, 0o644);
    const reason = 'it is not executable, so it does not run, as all others in its directory do';
    const line = `'${directory}/c': ${reason} (chmod +x enables it; a name in .disabled says that it is meant)\n`;
    assert.deepEqual(checks(directory), [1, line, '']);
    place(directory, 'd', SCRIPT, 0o644);
    assert.deepEqual(checks(directory), [0, '', '']);
  });

  it('a setting of ours that has no meaning is told', t => {
    const env = { TKLBAM_HOOKS_TIMOUT: '5m', TKLBAM_HOOK_TIMEOUT: '5m', TKLBAM_HOOKS_TIMEOUT: '5m' };
    const line = (name: string): string =>
      `'${name}': it is no setting of tklbam-hooks (see ENVIRONMENT in tklbam-hooks(8))\n`;
    const directory = hooksDirectory(t);
    const expected = [1, line('TKLBAM_HOOKS_TIMOUT') + line('TKLBAM_HOOK_TIMEOUT'), ''];
    assert.deepEqual(checks(directory, [], { env }), expected);
  });

  it('a mask that hides a hook of the profile is meant to be empty, executable or not', t => {
    const directory = hooksDirectory(t);
    const profile = scratch(t);
    mkdirSync(join(profile, 'hooks.d'), { mode: 0o755 });
    for (const where of [directory, join(profile, 'hooks.d')]) place(where, 'x', '');
    assert.deepEqual(checks(directory, ['--profile', profile]), [0, '', '']);
  });

  it('a shell that others can write to is not started', t => {
    const directory = hooksDirectory(t);
    const bin = scratch(t);
    const marker = join(bin, 'ran');
    place(bin, 'bash', `#!/bin/sh\ntouch '${marker}'\n`, 0o777);
    place(directory, 'x', '#!/usr/bin/env bash\n');
    const [status, stdout] = checks(directory, [], { env: { PATH: `${bin}:/usr/bin:/bin` } });
    assert.deepEqual([status, stdout.includes('can be changed by others')], [1, true]);
    assert.ok(!existsSync(marker));
  });

  it('who asks about a hook by name is told that it is switched off', t => {
    const directory = hooksDirectory(t);
    place(directory, 'off', SCRIPT, 0o644);
    const line = `'${directory}/off': it is not executable, so it does not run (chmod +x enables it)\n`;
    assert.deepEqual(checks(directory, ['off']), [1, line, '']);
    assert.deepEqual(checks(directory), [0, '', '']);
  });

  it('usage', t => {
    const directory = hooksDirectory(t);
    assert.deepEqual(
      checks(directory, ['/etc/passwd']),
      usage("it takes the name of a hook, not a path: '/etc/passwd'"),
    );
    assert.deepEqual(checks(directory, ['--timeout', '5m']), usage("'check' has no option '--timeout'"));
    assert.deepEqual(checks(directory, ['--only', 'a']), usage("'check' has no option '--only'"));
  });

  it('an answer that could not be written is no good one', () => {
    const words = [...program.command, 'check', '--hooks', '/mnt', '--json'];
    const args = ['-c', '"$@" >/dev/full', 'sh', ...words];
    assert.equal(spawnSync('sh', args, { cwd: '/', env: plainEnvironment }).status, 1);
  });

  it('profile hooks and their signatures', t => {
    const profile = scratch(t);
    const directory = join(profile, 'hooks.d');
    mkdirSync(directory, { mode: 0o755 });
    for (const name of ['bad', 'good', 'none']) place(directory, name, SCRIPT);
    place(directory, 'bad.sig', 'x', 0o644);
    place(directory, 'good.sig', keys.signature('binary'), 0o644);
    const of = (keyring: string) => checks('/mnt', ['--profile', profile, '--keyring', keyring]);
    const none = `'${directory}/none': it is a profile hook without a signature (put NAME.sig beside it, ${disable})\n`;
    const bad = `'${directory}/bad': its signature is damaged (have it signed anew, ${disable})\n`;
    assert.deepEqual(of(keys.keyring('good')), [1, bad + none, '']);
    const noKeyring = 'it is a profile hook, and there is no keyring to check its signature with';
    const [badToo, goodToo] = ['bad', 'good'].map(
      name =>
        `'${directory}/${name}': ${noKeyring} (name one with --keyring or TKLBAM_HOOKS_KEYRING, ${disable})\n`,
    );
    assert.deepEqual(of('/nonexistent/keys.gpg'), [1, `${badToo}${goodToo}${none}`, '']);
    const words = ['--profile', profile, '--keyring', keys.keyring('good'), 'none'];
    const reason = 'it is a profile hook without a signature';
    const remedy = `put NAME.sig beside it, ${disable}`;
    assert.deepEqual(asJson('/mnt', words), [
      { name: 'none', path: `${directory}/none`, kind: 'unverified', reason, remedy },
    ]);
  });

  it('a key that has expired since, and one of no keyring, are named, with their dates', t => {
    const profile = scratch(t);
    const directory = join(profile, 'hooks.d');
    mkdirSync(directory, { mode: 0o755 });
    for (const [name, signature] of [
      ['expired', 'expired'],
      ['unknown', 'other'],
    ] as const) {
      place(directory, name, SCRIPT);
      place(directory, `${name}.sig`, keys.signature(signature), 0o644);
    }
    const words = ['--profile', profile, '--keyring', keys.keyring('expired')];
    const expired = {
      reason: `it is signed with key ${keys.id('expired')}, which has expired since, on 2020-12-31`,
      remedy: 'have it signed anew',
    };
    const unknown = {
      reason: `it is a profile hook, signed on 2020-02-01 with key ${keys.id('other')}, which is in none of the keyrings`,
      remedy: `add the keyring that has it with --keyring or TKLBAM_HOOKS_KEYRING, have it signed anew, ${disable}`,
    };
    const line = (name: string, { reason, remedy }: typeof expired): string =>
      `'${directory}/${name}': ${reason} (${remedy})\n`;
    assert.deepEqual(checks('/mnt', words), [1, line('expired', expired) + line('unknown', unknown), '']);
    assert.deepEqual(asJson('/mnt', words), [
      { name: 'expired', path: `${directory}/expired`, kind: 'expired-key', ...expired },
      { name: 'unknown', path: `${directory}/unknown`, kind: 'unverified', ...unknown },
    ]);
  });

  it('a name that both directories have: the local one counts', t => {
    const directory = hooksDirectory(t);
    const profile = scratch(t);
    mkdirSync(join(profile, 'hooks.d'), { mode: 0o755 });
    place(directory, 'x', 'exit 0\n');
    place(join(profile, 'hooks.d'), 'x', SCRIPT);
    const line = `'${directory}/x': ${noInterpreterLine.reason} (${noInterpreterLine.remedy})\n`;
    assert.deepEqual(checks(directory, ['--profile', profile]), [1, line, '']);
    const hidden = `'${profile}/hooks.d/x': it is hidden by the local entry of the same name (that one counts)\n`;
    assert.deepEqual(checks(directory, ['--profile', profile, 'x']), [1, line + hidden, '']);
  });

  if (!isRoot) {
    it('a directory that this user may not read', t => {
      const directory = hooksDirectory(t);
      chmodSync(directory, 0);
      const line = `'${directory}': the hooks directory cannot be read: permission denied (EACCES) (mend that)\n`;
      const ended = checks(directory);
      chmodSync(directory, 0o755);
      assert.deepEqual(ended, [1, line, '']);
    });
  }

  if (isRoot && program.name !== 'package') {
    // A root directory with all that this machine has, less the tools and whatever tells a container; and processes of its own,
    // so that the first of them is not this machine's.
    const elsewhere = `
      root=$1; shift
      mount -t tmpfs -o mode=755 none "$root"
      for each in /*; do
        if [ -L "$each" ]; then cp -P "$each" "$root"
        elif [ -d "$each" ]; then
          mkdir "$root$each"
          case $each in
            /run) ;;
            /proc) mount -t proc none "$root/proc" ;;
            *) mount --rbind "$each" "$root$each" ;;
          esac
        fi
      done
      for each in systemd-detect-virt ntpdate chronyd sntp ntpdig; do
        for directory in /usr/local/sbin /usr/local/bin /usr/sbin /usr/bin /sbin /bin; do
          if [ -e "$root$directory/$each" ]; then mount --bind /dev/null "$root$directory/$each"; fi
        done
      done
      eval "$CHANGE"
      exec chroot "$root" "$@"`;
    const machines: [string, string, boolean][] = [
      ['on a machine without a tool: found', '', true],
      ['in a container without a tool: the host keeps the clock', ': >"$root/.dockerenv"', false],
      [
        'with a tool in PATH, which is not used',
        'printf "#!/bin/sh\\n" >"$BIN/ntpdig"; chmod 755 "$BIN/ntpdig"',
        true,
      ],
      ['switched off', 'chmod -x "$HOOK"', false],
    ];
    for (const [what, change, isFound] of machines) {
      it(`fixclock ${what}`, t => {
        const directory = hooksDirectory(t);
        place(directory, 'fixclock', SCRIPT);
        const path = join(directory, 'fixclock');
        const command = [...program.command, 'check', '--hooks', directory];
        const args = ['-mpf', '--kill-child', 'sh', '-euc', elsewhere, 'sh', scratch(t), ...command];
        const bin = scratch(t);
        const PATH = `${bin}:/usr/sbin:/usr/bin:/sbin:/bin`;
        const env = { ...plainEnvironment, PATH, BIN: bin, CHANGE: change, HOOK: path };
        const ran = ending(spawnSync('unshare', args, { encoding: 'utf8', cwd: '/', env }));
        const line = `'${path}': ${noClockTool.reason} (${noClockTool.remedy})\n`;
        assert.deepEqual(ran, isFound ? [1, line, ''] : [0, '', '']);
      });
    }
  }
}

test('the tool is asked for only where a hook named fixclock is to run', t => {
  const directory = hooksDirectory(t);
  place(directory, 'fixclock', SCRIPT);
  place(directory, 'other', SCRIPT);
  const listing = discover({ kind: 'local', directory });
  const find = (verdict: Judged['verdict'], names: readonly string[]): readonly Finding[] => {
    const judged = listing.candidates.map((hook): Judged => ({ hook, verdict }));
    return check([{ ...listing, refusal: undefined }], judged, names, plainEnvironment, () => noClockTool);
  };
  const expected = { name: 'fixclock', path: join(directory, 'fixclock'), ...noClockTool };
  assert.deepEqual(find({ kind: 'run' }, []), [expected]);
  assert.deepEqual(find({ kind: 'run' }, ['fixclock']), [expected]);
  assert.deepEqual(find({ kind: 'run' }, ['other']), []);
  assert.deepEqual(find({ kind: 'skip', why: 'disabled' }, []), []);
});

test('every variable of ours that the source names is known to check', () => {
  const files = readdirSync(join(repository, 'src'), { recursive: true, encoding: 'utf8' });
  const text = files
    .filter(file => file.endsWith('.ts'))
    .map(file => readFileSync(join(repository, 'src', file), 'utf8'))
    .join('');
  const names = new Set(text.match(/\bTKLBAM_HOOKS?_[A-Z_]+\b/g));
  const env = Object.fromEntries([...names].map(name => [name, 'x']));
  assert.ok(names.size > 8);
  assert.deepEqual(unknownSettings(env), []);
});
