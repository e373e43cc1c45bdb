// Hooks that come with a profile: what their signatures are good for.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { read } from '../../src/hooks/signature.ts';
import type { Signature } from '../../src/types.ts';
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

const HOOK = readFileSync(join(repository, 'test/hooks/print-args'));
const NOBODY = 65534;

const keys = makeKeys(HOOK);

/** What to do about a refusal for its signature, or for a keyring. */
function remedyOf(reason: string): string {
  const [, remedy] = (
    [
      [/^others than root/, 'chown root and chmod go-w it and the directories above it'],
      [/^the keyring .* is not a file$/, 'name a file'],
      [/is armored/, 'gpg --dearmor it'],
      [/cannot be read$/, 'chmod a+r it'],
      [/^gpgv could not/, 'try gpgv by hand'],
    ] as const
  ).find(([pattern]) => pattern.test(reason)) ?? [/./, 'have it signed anew'];
  return `${remedy}, or chmod -x it to disable it`;
}
const changed = 'its signature is of another file, or it was changed since';
const damaged = 'its signature is damaged';
const unknown = (key: string): string =>
  `is a profile hook, signed on 2020-02-01 with key ${keys.id(key)}, which is in none of the keyrings`;
const weak = (digest: string): string => `its signature is over ${digest}, which can be forged`;
const expiredSince = (key: string, date: string): string =>
  `is signed with key ${keys.id(key)}, which has expired since, on ${date}`;
const notAFile = 'its signature is not a file';
const unsigned = 'is a profile hook without a signature';
const noKeyring = 'is a profile hook, and there is no keyring to check its signature with';
const noGpgv = 'is a profile hook, and there is no gpgv to check its signature with (apt install gpgv)';

type Fate =
  | { readonly refused: string }
  | { readonly passedOver: string }
  | { readonly warned: string }
  | 'run';

/** A hook of HOOK's content beside a signature that a case makes. */
interface Case {
  readonly what: string;
  readonly fate: Fate;
  /** `hook` is the path of the hook, `sig` that of its signature. */
  readonly make: (hook: string, sig: string) => void;
}

const signedAs =
  (name: string) =>
  (_hook: string, sig: string): void =>
    writeFileSync(sig, keys.signature(name));

const cases: readonly Case[] = [
  { what: 'a good signature', fate: 'run', make: signedAs('binary') },
  { what: 'a good armored signature', fate: 'run', make: signedAs('armored') },
  { what: 'a good signature by a subkey', fate: 'run', make: signedAs('subkey') },
  {
    what: 'a good signature from the future, since our clock is behind',
    fate: 'run',
    make: signedAs('future'),
  },
  {
    what: 'a good signature by a key from the future, since our clock is behind',
    fate: 'run',
    make: signedAs('ahead'),
  },
  {
    what: 'a good signature that is a link',
    fate: 'run',
    make: (_hook, sig) => symlinkSync(join(keys.directory, 'binary.sig'), sig),
  },
  {
    // A signature vouches for the content alone: it cannot lie, so nobody need keep it.
    what: 'a good signature that all can write to',
    fate: 'run',
    make: (_hook, sig) => {
      writeFileSync(sig, keys.signature('binary'));
      chmodSync(sig, 0o666);
    },
  },
  {
    what: 'a hook that was added to',
    fate: { refused: changed },
    make: (hook, sig) => {
      writeFileSync(hook, `${HOOK}\n`);
      writeFileSync(sig, keys.signature('binary'));
    },
  },
  {
    what: 'another hook than the signed one',
    fate: { refused: changed },
    make: (hook, sig) => {
      writeFileSync(hook, '#!/bin/sh\necho swapped\n');
      writeFileSync(sig, keys.signature('binary'));
    },
  },
  {
    what: 'a truncated signature',
    fate: { refused: damaged },
    make: (_hook, sig) => writeFileSync(sig, keys.signature('binary').subarray(0, 60)),
  },
  {
    what: 'a truncated armored signature',
    fate: { refused: damaged },
    make: (_hook, sig) => writeFileSync(sig, keys.signature('armored').subarray(0, 100)),
  },
  { what: 'an empty signature', fate: { refused: damaged }, make: (_hook, sig) => writeFileSync(sig, '') },
  {
    what: 'a signature of garbage',
    fate: { refused: damaged },
    make: (_hook, sig) => writeFileSync(sig, Buffer.alloc(200, 0xa5)),
  },
  {
    what: 'a signature of text',
    fate: { refused: damaged },
    make: (_hook, sig) => writeFileSync(sig, 'trust me\n'),
  },
  {
    what: 'a good signature with garbage behind it',
    fate: { refused: damaged },
    make: (_hook, sig) =>
      writeFileSync(sig, Buffer.concat([keys.signature('binary'), Buffer.alloc(200, 0xa5)])),
  },
  { what: 'inline-signed text as signature', fate: { refused: damaged }, make: signedAs('inline') },
  { what: 'clear-signed text as signature', fate: { refused: damaged }, make: signedAs('clear') },
  ...['inline', 'clear'].map(
    (name): Case => ({
      what: `${name}-signed text of another hook as signature`,
      fate: { refused: damaged },
      make: (hook, sig) => {
        writeFileSync(hook, '#!/bin/sh\necho swapped\n');
        writeFileSync(sig, keys.signature(name));
      },
    }),
  ),
  {
    // Such a signature leaves the line endings open: `rm -r "$x"` and `rm -r "$x"\r` are the same to it.
    what: 'a signature of the hook as text',
    fate: { refused: 'its signature was made for text, and leaves the line endings open' },
    make: signedAs('text'),
  },
  {
    what: 'a signature by a key that is in no keyring',
    fate: { passedOver: unknown('other') },
    make: signedAs('other'),
  },
  {
    what: 'a good signature and one by a key that is in no keyring',
    fate: { passedOver: unknown('other') },
    make: signedAs('both'),
  },
  { what: 'a signature over SHA-1', fate: { refused: weak('SHA-1') }, make: signedAs('sha1') },
  { what: 'a signature over RIPEMD-160', fate: { refused: weak('RIPEMD-160') }, make: signedAs('ripemd160') },
  { what: 'a signature by a key that certifies itself with SHA-1', fate: 'run', make: signedAs('old') },
  { what: 'an expired signature', fate: { refused: 'its signature has expired' }, make: signedAs('brief') },
  {
    what: 'an expired signature and a good one',
    fate: { refused: 'its signature has expired' },
    make: (_hook, sig) =>
      writeFileSync(sig, Buffer.concat([keys.signature('brief'), keys.signature('binary')])),
  },
  {
    what: 'a signature by a key that has expired since',
    fate: { warned: expiredSince('expired', '2020-12-31') },
    make: signedAs('expired'),
  },
  {
    what: 'a signature that was made when its key had expired',
    fate: { refused: 'its signature was made after its key had expired' },
    make: signedAs('late'),
  },
  {
    what: 'a signature by a revoked key',
    fate: { refused: 'the key of its signature was revoked' },
    make: signedAs('revoked'),
  },
  {
    what: 'a signature that is a directory',
    fate: { refused: notAFile },
    make: (_hook, sig) => mkdirSync(sig),
  },
  {
    what: 'a signature that is a FIFO',
    fate: { refused: notAFile },
    make: (_hook, sig) => assert.equal(spawnSync('mkfifo', [sig]).status, 0),
  },
  {
    what: 'a signature that is a device without end',
    fate: { refused: notAFile },
    make: (_hook, sig) => symlinkSync('/dev/zero', sig),
  },
  {
    what: 'a signature of 1 GB',
    fate: { refused: 'its signature is too large to be one' },
    make: (_hook, sig) => {
      writeFileSync(sig, keys.signature('binary'));
      truncateSync(sig, 1 << 30);
    },
  },
  {
    what: 'a signature that is a dangling link',
    fate: { passedOver: unsigned },
    make: (_hook, sig) => symlinkSync('/nonexistent/x.sig', sig),
  },
  {
    what: 'a signature that is a link to itself',
    fate: { passedOver: unsigned },
    make: (_hook, sig) => symlinkSync(sig, sig),
  },
  { what: 'no signature', fate: { passedOver: unsigned }, make: () => undefined },
  {
    what: 'a signature with the ending of an armored one, .asc',
    fate: { passedOver: unsigned },
    make: hook => writeFileSync(`${hook}.asc`, keys.signature('armored')),
  },
];
const caseName = (index: number): string => `hook-${String(index).padStart(2, '0')}`;

/** A profile in a scratch directory, with hooks of the fixture's content, unsigned. */
function makeProfile(t: TestContext, ...names: readonly string[]): string {
  const profile = join(scratch(t), 'profile');
  mkdirSync(join(profile, 'hooks.d'), { recursive: true });
  for (const each of [profile, join(profile, 'hooks.d')]) chmodSync(each, 0o755);
  for (const name of names) place(join(profile, 'hooks.d'), name, HOOK);
  return profile;
}

/** The same with good signatures. */
function makeSigned(t: TestContext, ...names: readonly string[]): string {
  const profile = makeProfile(t, ...names);
  for (const name of names) place(join(profile, 'hooks.d'), `${name}.sig`, keys.signature('binary'), 0o644);
  return profile;
}

const keyringOptions = (...names: readonly string[]): string[] =>
  names.flatMap(name => ['--keyring', keys.keyring(name)]);

interface Listed {
  readonly name: string;
  readonly status: string;
  readonly reason: string | null;
}

for (const program of programs) {
  const it = (title: string, body: (t: TestContext) => void): void => {
    test(`${program.name}: ${title}`, body);
  };
  // Empty on every Debian, and root's.
  const withoutLocal = ['--hooks', '/mnt'];
  const hooks = (args: readonly string[], options: RunOptions = {}) => ending(run(program, args, options));
  /** A run of the profile's hooks in `backup pre`, with no local ones beside them. */
  const backupPre = (profile: string, keyrings: readonly string[], options: RunOptions = {}) =>
    hooks(['run', 'backup', 'pre', ...withoutLocal, '--profile', profile, ...keyrings], options);
  const list = (
    profile: string,
    keyrings: readonly string[],
    options: RunOptions = {},
  ): readonly Listed[] => {
    const args = ['list', '--json', ...withoutLocal, '--profile', profile, ...keyrings];
    const [status, stdout, stderr] = hooks(args, options);
    assert.deepEqual([status, stderr], [0, '']);
    return JSON.parse(stdout).hooks;
  };
  const fateOf = (
    profile: string,
    keyrings: readonly string[],
    options: RunOptions = {},
  ): Listed | undefined => list(profile, keyrings, options).find(({ name }) => name === 'x');
  const printed = (profile: string, name: string, state = 'pre'): string =>
    `[${profile}/hooks.d/${name}][backup][${state}]\n`;
  const refusal = (path: string, reason: string, remedy = remedyOf(reason), state = 'pre'): string => {
    const rest = state === 'pre' ? 'no hook was run' : 'the other hooks were run';
    return `HookError: \`${path} backup ${state}\` refused: ${reason}, ${rest} (${remedy})\n`;
  };
  const warning = (path: string, reason: string): string =>
    `tklbam-hooks: '${path}' ${reason}, not running it\n`;

  const lineOf = (path: string, fate: Fate): string => {
    if (fate === 'run') return '';
    if ('refused' in fate) return refusal(path, fate.refused, undefined, 'post');
    return 'warned' in fate
      ? `tklbam-hooks: '${path}' ${fate.warned}, running it\n`
      : warning(path, fate.passedOver);
  };
  const listedAs = (fate: Fate): [string, string | null] => {
    if (fate === 'run' || 'warned' in fate) return ['enabled', null];
    if ('refused' in fate) return ['refused', `${fate.refused} (${remedyOf(fate.refused)})`];
    return ['passed-over', fate.passedOver];
  };

  test(`${program.name}: signatures`, async t => {
    const profile = makeProfile(t);
    for (const [index, { make }] of cases.entries()) {
      const hook = join(profile, 'hooks.d', caseName(index));
      place(join(profile, 'hooks.d'), caseName(index), HOOK);
      make(hook, `${hook}.sig`);
    }
    const keyrings = keyringOptions('subkey', 'expired', 'revoked', 'ahead', 'rsa', 'late', 'good');
    const listed = list(profile, keyrings);
    const [status, stdout, stderr] = hooks([
      ...['run', 'backup', 'post', ...withoutLocal, '--profile', profile],
      ...keyrings,
    ]);
    const expected = { out: 0, err: 0 };
    for (const [index, { what, fate }] of cases.entries()) {
      const name = caseName(index);
      const path = `${profile}/hooks.d/${name}`;
      const isRun = fate === 'run' || 'warned' in fate;
      const line = lineOf(path, fate);
      if (isRun) expected.out += printed(profile, name, 'post').length;
      expected.err += line.length;
      const title =
        fate === 'run'
          ? 'run'
          : 'warned' in fate
            ? 'run with a warning'
            : 'refused' in fate
              ? 'refused'
              : 'passed over';
      await t.test(`${what}: ${title}`, () => {
        const entry = listed.find(each => each.name === name);
        assert.deepEqual([entry?.status, entry?.reason], listedAs(fate));
        const told = stderr.split(/(?<=\n)/).filter(each => each.includes(path));
        assert.deepEqual(told, line === '' ? [] : [line]);
        assert.equal(stdout.includes(printed(profile, name, 'post')), isRun);
      });
    }
    await t.test('the run ends with 3, and says and does nothing else', () => {
      assert.deepEqual([status, stdout.length, stderr.length], [3, expected.out, expected.err]);
    });
  });

  it('local hooks run before profile hooks, and after them in post', t => {
    const profile = makeSigned(t, 'a', 'z');
    const directory = hooksDirectory(t);
    install(directory, 'print-args', 'm');
    const args = ['--hooks', directory, '--profile', profile, ...keyringOptions('good')];
    const lines = (state: string): string[] => [
      `[${directory}/m][backup][${state}]\n`,
      printed(profile, 'a', state),
      printed(profile, 'z', state),
    ];
    assert.deepEqual(hooks(['run', 'backup', 'pre', ...args]), [0, lines('pre').join(''), '']);
    assert.deepEqual(hooks(['run', 'backup', 'post', ...args]), [0, lines('post').reverse().join(''), '']);
  });

  it('pre runs nothing, not even a local hook, if one signature is bad; every bad one is named', t => {
    const profile = makeSigned(t, 'a', 'b', 'c');
    const directory = hooksDirectory(t);
    install(directory, 'print-args', 'm');
    for (const name of ['a', 'c']) place(join(profile, 'hooks.d'), `${name}.sig`, 'x', 0o644);
    const args = ['--hooks', directory, '--profile', profile, ...keyringOptions('good')];
    const refused = ['a', 'c'].map(name => refusal(`${profile}/hooks.d/${name}`, damaged));
    assert.deepEqual(hooks(['run', 'backup', 'pre', ...args]), [3, '', refused.join('')]);
  });

  it('a hook without a signature is passed over with a warning, and the others run', t => {
    const profile = makeSigned(t, 'a', 'b');
    const directory = hooksDirectory(t);
    install(directory, 'print-args', 'm');
    rmSync(join(profile, 'hooks.d/a.sig'));
    const args = ['--hooks', directory, '--profile', profile, ...keyringOptions('good')];
    assert.deepEqual(hooks(['run', 'backup', 'pre', ...args]), [
      0,
      `[${directory}/m][backup][pre]\n${printed(profile, 'b')}`,
      warning(`${profile}/hooks.d/a`, unsigned),
    ]);
  });

  it('--only with a hook that lacks its signature', t => {
    const profile = makeProfile(t, 'x');
    const args = [...keyringOptions('good'), '--only', 'x'];
    assert.deepEqual(backupPre(profile, args), [
      2,
      '',
      `${warning(`${profile}/hooks.d/x`, unsigned)}tklbam-hooks: no hook to run: 'x' ${unsigned}\nTry 'tklbam-hooks list'.\n`,
    ]);
  });

  it('what is disabled or passed over by name needs no signature, and is not warned of', t => {
    const profile = makeProfile(t, 'a.bak', 'disabled');
    chmodSync(join(profile, 'hooks.d/disabled'), 0o644);
    assert.deepEqual(backupPre(profile, keyringOptions('good')), [0, '', '']);
  });

  it('a good pair runs under any name: the signature is of the content, not of the name', t => {
    const names = ['-x', '$(id)', 'a b', "a'b", 'a\nb', 'é漢🙂', 'renamed'];
    const profile = makeSigned(t, ...names);
    const sorted = [...names].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    const out = sorted.map(name => printed(profile, name)).join('');
    assert.deepEqual(backupPre(profile, keyringOptions('good')), [0, out, '']);
  });

  it('the profile is that of TKLBAM_REGISTRY where none is given', t => {
    const profile = makeSigned(t, 'x');
    const args = ['run', 'backup', 'pre', ...withoutLocal, ...keyringOptions('good')];
    const env = { TKLBAM_REGISTRY: dirname(profile) };
    assert.deepEqual(hooks(args, { env }), [0, printed(profile, 'x'), '']);
  });

  it('one of several keyrings has the key', t => {
    const profile = makeSigned(t, 'x');
    const out = printed(profile, 'x');
    assert.deepEqual(backupPre(profile, keyringOptions('other', 'good')), [0, out, '']);
    const env = { TKLBAM_HOOKS_KEYRING: `${keys.keyring('other')}:${keys.keyring('good')}` };
    assert.deepEqual(backupPre(profile, [], { env }), [0, out, '']);
  });

  it('--keyring stands in place of TKLBAM_HOOKS_KEYRING', t => {
    const profile = makeSigned(t, 'x');
    const env = { TKLBAM_HOOKS_KEYRING: keys.keyring('good') };
    const passedOver = warning(`${profile}/hooks.d/x`, unknown('good'));
    assert.deepEqual(backupPre(profile, keyringOptions('other'), { env }), [0, '', passedOver]);
  });

  it('a relative keyring is one of the caller’s directory', t => {
    const profile = makeSigned(t, 'x');
    const cwd = keys.directory;
    assert.deepEqual(backupPre(profile, ['--keyring', 'good.gpg'], { cwd }), [0, printed(profile, 'x'), '']);
    const env = { TKLBAM_HOOKS_KEYRING: 'good.gpg' };
    assert.deepEqual(backupPre(profile, [], { cwd, env }), [0, printed(profile, 'x'), '']);
  });

  it('a keybox is a keyring', t => {
    const profile = makeSigned(t, 'x');
    const keybox = join(scratch(t), 'keys.kbx');
    copyFileSync(join(keys.home, 'pubring.kbx'), keybox);
    assert.deepEqual(backupPre(profile, ['--keyring', keybox]), [0, printed(profile, 'x'), '']);
  });

  it('a key of the user’s own keyrings counts for nothing', t => {
    const profile = makeSigned(t, 'x');
    const home = scratch(t);
    const own = join(home, '.gnupg');
    mkdirSync(own, { mode: 0o700 });
    for (const name of ['pubring.gpg', 'trustedkeys.gpg'])
      copyFileSync(keys.keyring('good'), join(own, name));
    for (const name of ['pubring.kbx', 'trustedkeys.kbx'])
      copyFileSync(join(keys.home, 'pubring.kbx'), join(own, name));
    writeFileSync(join(own, 'gpgv.conf'), `keyring ${keys.keyring('good')}\n`);
    const passedOver = warning(`${profile}/hooks.d/x`, unknown('good'));
    for (const env of [{ HOME: home }, { GNUPGHOME: own }, { HOME: home, GNUPGHOME: own }]) {
      assert.deepEqual(backupPre(profile, keyringOptions('other'), { env }), [0, '', passedOver]);
    }
  });

  it('a keyring that is missing: passed over', t => {
    const profile = makeSigned(t, 'x');
    const expected = [0, '', warning(`${profile}/hooks.d/x`, noKeyring)];
    const missing = ['--keyring', '/nonexistent/keys.gpg'];
    assert.deepEqual(backupPre(profile, missing), expected);
    // Also beside one that is there: with half of what was asked for, the answer would be another one.
    assert.deepEqual(backupPre(profile, [...keyringOptions('good'), ...missing]), expected);
    assert.deepEqual(
      backupPre(profile, [], { env: { TKLBAM_HOOKS_KEYRING: '/nonexistent/keys.gpg' } }),
      expected,
    );
    const listed = fateOf(profile, missing);
    assert.deepEqual([listed?.status, listed?.reason], ['passed-over', noKeyring]);
  });

  const badKeyrings: [string, (t: TestContext) => { keyring: string; reason: string }][] = [
    [
      'is armored',
      () => ({
        keyring: keys.keyring('armored'),
        reason: `the keyring '${keys.keyring('armored')}' is armored, which gpgv does not read`,
      }),
    ],
    ...[0o664, 0o646, 0o666].map(
      (mode): [string, (t: TestContext) => { keyring: string; reason: string }] => [
        `has mode ${mode.toString(8)}`,
        t => {
          const keyring = join(scratch(t), 'keys.gpg');
          copyFileSync(keys.keyring('good'), keyring);
          chmodSync(keyring, mode);
          return { keyring, reason: `others than root can write to the keyring '${keyring}'` };
        },
      ],
    ),
    [
      'is in a directory that all can write to',
      t => {
        const directory = scratch(t);
        const keyring = join(directory, 'keys.gpg');
        copyFileSync(keys.keyring('good'), keyring);
        chmodSync(directory, 0o1777);
        return { keyring, reason: `others than root can write to the keyring '${keyring}'` };
      },
    ],
    [
      'is a link out of a directory that all can write to',
      t => {
        const directory = scratch(t);
        const keyring = join(directory, 'keys.gpg');
        symlinkSync(keys.keyring('good'), keyring);
        chmodSync(directory, 0o777);
        return { keyring, reason: `others than root can write to the keyring '${keyring}'` };
      },
    ],
    [
      'is a directory',
      t => {
        const keyring = scratch(t);
        return { keyring, reason: `the keyring '${keyring}' is not a file` };
      },
    ],
    [
      'is a FIFO, which nobody writes to',
      t => {
        const keyring = join(scratch(t), 'keys.gpg');
        assert.equal(spawnSync('mkfifo', ['-m', '600', keyring]).status, 0);
        return { keyring, reason: `the keyring '${keyring}' is not a file` };
      },
    ],
    [
      'has a name of two lines',
      t => {
        const keyring = join(scratch(t), 'a\nb.gpg');
        copyFileSync(keys.keyring('good'), keyring);
        chmodSync(keyring, 0o666);
        return {
          keyring,
          reason: `others than root can write to the keyring '${dirname(keyring)}/a\\x0ab.gpg'`,
        };
      },
    ],
    ...(isRoot
      ? ([
          [
            'belongs to somebody else',
            t => {
              const keyring = join(scratch(t), 'keys.gpg');
              copyFileSync(keys.keyring('good'), keyring);
              chownSync(keyring, NOBODY, NOBODY);
              return { keyring, reason: `others than root can write to the keyring '${keyring}'` };
            },
          ],
        ] satisfies [string, (t: TestContext) => { keyring: string; reason: string }][])
      : ([
          [
            'may not be read',
            t => {
              const keyring = join(scratch(t), 'keys.gpg');
              writeFileSync(keyring, '', { mode: 0o200 });
              return { keyring, reason: `the keyring '${keyring}' cannot be read` };
            },
          ],
        ] satisfies [string, (t: TestContext) => { keyring: string; reason: string }][])),
  ];
  for (const [what, make] of badKeyrings) {
    it(`a keyring that ${what}: refused`, t => {
      const profile = makeSigned(t, 'x');
      const { keyring, reason } = make(t);
      const error = refusal(`${profile}/hooks.d/x`, reason);
      assert.deepEqual(backupPre(profile, ['--keyring', keyring]), [3, '', error]);
    });
  }

  it('a keyring that is empty: passed over', t => {
    const profile = makeSigned(t, 'x');
    const keyring = join(scratch(t), 'keys.gpg');
    writeFileSync(keyring, '', { mode: 0o644 });
    const passedOver = warning(`${profile}/hooks.d/x`, unknown('good'));
    assert.deepEqual(backupPre(profile, ['--keyring', keyring]), [0, '', passedOver]);
  });

  it('a gpgv of the caller’s PATH is not asked', t => {
    const profile = makeProfile(t, 'x');
    writeFileSync(join(profile, 'hooks.d/x.sig'), 'x');
    const bin = scratch(t);
    const good =
      '[GNUPG:] GOODSIG 18CE Good <a@example>\n[GNUPG:] VALIDSIG DCC8 2026-11-23 1 0 4 0 22 8 00 DCC8\n';
    place(bin, 'gpgv', `#!/bin/sh\ntouch '${bin}/asked'\nprintf '%s' '${good}'\n`);
    const env = { PATH: `${bin}:/usr/bin:/bin` };
    const error = refusal(`${profile}/hooks.d/x`, damaged);
    assert.deepEqual(backupPre(profile, keyringOptions('good'), { env }), [3, '', error]);
    assert.ok(!existsSync(join(bin, 'asked')));
  });

  const disable = 'or chmod -x it to disable it';
  const untrusted: [string, (profile: string) => void, string, string][] = [
    ...[0o775, 0o777].map((mode): [string, (profile: string) => void, string, string] => [
      `a hook with mode ${mode.toString(8)}`,
      profile => chmodSync(join(profile, 'hooks.d/x'), mode),
      `it is writable by ${mode === 0o775 ? 'its group' : 'everybody'}`,
      `chmod go-w it, ${disable}`,
    ]),
    [
      'a set-id hook',
      profile => chmodSync(join(profile, 'hooks.d/x'), 0o4755),
      'it is set-user-ID or set-group-ID',
      `chmod ug-s it, ${disable}`,
    ],
    [
      'a hooks directory that its group can write to',
      profile => chmodSync(join(profile, 'hooks.d'), 0o775),
      "'DIR/hooks.d' is writable by its group",
      `chmod go-w 'DIR/hooks.d', ${disable}`,
    ],
    [
      'a profile that all can write to',
      profile => chmodSync(profile, 0o777),
      "'DIR' is writable by everybody",
      `chmod go-w 'DIR', ${disable}`,
    ],
    [
      'a link to a hook in a directory that all can write to',
      profile => {
        mkdirSync(join(profile, 'open'));
        renameSync(join(profile, 'hooks.d/x'), join(profile, 'open/x'));
        symlinkSync('../open/x', join(profile, 'hooks.d/x'));
        chmodSync(join(profile, 'open'), 0o777);
      },
      "'DIR/open' is writable by everybody",
      "chmod go-w 'DIR/open', or remove the link to disable it",
    ],
    ...(isRoot
      ? ([
          [
            'a hook of another user',
            profile => chownSync(join(profile, 'hooks.d/x'), NOBODY, NOBODY),
            'it belongs to user 65534',
            `read it, then chown root it, ${disable}`,
          ],
          [
            'a profile of another user',
            profile => chownSync(profile, NOBODY, NOBODY),
            "'DIR' belongs to user 65534",
            `move the hook out of it, ${disable}`,
          ],
        ] satisfies [string, (profile: string) => void, string, string][])
      : []),
  ];
  for (const [what, spoil, reason, remedy] of untrusted) {
    // Whoever can write there can swap the hook after gpgv has seen it.
    it(`${what}, well signed: refused`, t => {
      const profile = makeSigned(t, 'x');
      spoil(profile);
      const fill = (text: string): string => text.replaceAll('DIR', profile);
      const error = refusal(`${profile}/hooks.d/x`, fill(reason), fill(remedy));
      assert.deepEqual(backupPre(profile, keyringOptions('good')), [3, '', error]);
    });
  }

  it('a local hook that rewrites a profile hook is root’s own doing, and breaks nothing', t => {
    const profile = makeSigned(t, 'x');
    const directory = hooksDirectory(t);
    place(directory, 'update', `#!/bin/sh\nprintf '#!/bin/sh\\necho new\\n' >'${profile}/hooks.d/x'\n`);
    const args = [
      'run',
      'backup',
      'pre',
      '--hooks',
      directory,
      '--profile',
      profile,
      ...keyringOptions('good'),
    ];
    assert.deepEqual(hooks(args), [0, 'new\n', '']);
    assert.deepEqual(hooks(args), [3, '', refusal(`${profile}/hooks.d/x`, changed)]);
  });

  if (isRoot && program.name !== 'package') {
    // A name space of its own: this machine's gpgv and keyrings stay as they are.
    const apart = (t: TestContext, change: string, profile: string, command: readonly string[]) => {
      const args = ['-m', 'sh', '-euc', `${change}\nexec "$@"`, 'sh', ...program.command, ...command];
      const env = { ...plainEnvironment, GOOD: keys.keyring('good'), SCRATCH: scratch(t) };
      const words = [...args, ...withoutLocal, '--profile', profile];
      return ending(spawnSync('unshare', words, { encoding: 'utf8', cwd: '/', env }));
    };
    const backup = ['run', 'backup', 'pre'];
    /** A shell script in the place of gpgv, which can start that as "$SCRATCH/real". */
    const inPlaceOfGpgv = (body: string): string =>
      `cp /usr/bin/gpgv "$SCRATCH/real"; cat >"$SCRATCH/gpgv" <<'EOF'\n#!/bin/sh\n${body}\nEOF\n` +
      'chmod 755 "$SCRATCH/gpgv"; mount --bind "$SCRATCH/gpgv" /usr/bin/gpgv';

    it('gpgv gets the keyrings, the signature and the hook, and nothing of the caller’s environment', t => {
      const profile = makeSigned(t, 'x');
      const log = join(profile, 'log');
      const change =
        inPlaceOfGpgv(`{ printf '[%s]' "$@"; echo; env | sort; } >>'${log}'; exec '${profile}/real' "$@"`) +
        `; cp "$SCRATCH/real" '${profile}/real'; export GNUPGHOME='${keys.home}' LC_ALL=de_DE.UTF-8 LD_LIBRARY_PATH=/x`;
      const words = [...backup, ...keyringOptions('other', 'good')];
      assert.deepEqual(apart(t, change, profile, words), [0, printed(profile, 'x'), '']);
      const options = ['--status-fd', '1', '--ignore-time-conflict', ...keyringOptions('other', 'good')];
      const args = [...options, '--', '-', `${profile}/hooks.d/x`].map(word => `[${word}]`).join('');
      // PWD is of the shell that the log is written by.
      assert.equal(
        readFileSync(log, 'utf8'),
        `${args}\nLC_ALL=C\nPATH=/usr/sbin:/usr/bin:/sbin:/bin\nPWD=/\n`,
      );
    });

    it('a gpgv that hangs up without a word proves nothing', t => {
      const profile = makeSigned(t, 'x');
      for (const [body, reason] of [
        ['exit 0', damaged],
        ['echo "gpgv: Good signature"; exit 0', damaged],
        ['kill -KILL $$', 'gpgv could not check its signature (SIGKILL)'],
      ] as const) {
        const error = refusal(`${profile}/hooks.d/x`, reason);
        const words = [...backup, ...keyringOptions('good')];
        assert.deepEqual(apart(t, inPlaceOfGpgv(body), profile, words), [3, '', error]);
      }
    });

    it('a gpgv that others can write to is none', t => {
      const profile = makeSigned(t, 'x');
      const change = `${inPlaceOfGpgv('exit 0')}; chmod 757 /usr/bin/gpgv`;
      const expected = [0, '', warning(`${profile}/hooks.d/x`, noGpgv)];
      assert.deepEqual(apart(t, change, profile, [...backup, ...keyringOptions('good')]), expected);
    });
    const noKeyrings =
      'for d in /etc/apt/trusted.gpg.d /usr/share/keyrings; do [ ! -d $d ] || mount -t tmpfs -o mode=755 none $d; done';

    it('no gpgv: passed over', t => {
      const profile = makeSigned(t, 'x');
      const hide =
        'for d in /usr/local/sbin /usr/local/bin /usr/sbin /usr/bin /sbin /bin; do' +
        ' [ ! -x $d/gpgv ] || mount --bind /dev/null $d/gpgv; done';
      const expected = [0, '', warning(`${profile}/hooks.d/x`, noGpgv)];
      assert.deepEqual(apart(t, hide, profile, [...backup, ...keyringOptions('good')]), expected);
    });

    it('no keyring at all: passed over', t => {
      const profile = makeSigned(t, 'x');
      const expected = [0, '', warning(`${profile}/hooks.d/x`, noKeyring)];
      assert.deepEqual(apart(t, noKeyrings, profile, backup), expected);
      // Empty as in a defaults file that is being filled in.
      const unset = `${noKeyrings}\nexport TKLBAM_HOOKS_KEYRING=`;
      assert.deepEqual(apart(t, unset, profile, backup), expected);
    });

    const known: [string, string][] = [
      ['trusted.gpg.d/turnkey.gpg, as releases up to 17 have it', '/etc/apt/trusted.gpg.d/turnkey.gpg'],
      ['keyrings/tkl-bookworm-main.gpg, as later ones have it', '/usr/share/keyrings/tkl-bookworm-main.gpg'],
      ['keyrings/tkl-bookworm-main.kbx', '/usr/share/keyrings/tkl-bookworm-main.kbx'],
    ];
    for (const [what, file] of known) {
      it(`TurnKey's own keyring is ${what}`, t => {
        const profile = makeSigned(t, 'x');
        const change = `${noKeyrings}\n[ -d ${dirname(file)} ]\ncp "$GOOD" ${file}`;
        assert.deepEqual(apart(t, change, profile, backup), [0, printed(profile, 'x'), '']);
      });
    }

    it('the keyrings of others than TurnKey are not its own', t => {
      const profile = makeSigned(t, 'x');
      const change =
        `${noKeyrings}\nfor f in /usr/share/keyrings/debian.gpg /etc/apt/trusted.gpg.d/debian.gpg /usr/share/keyrings/tkl-x.asc; ` +
        'do cp "$GOOD" $f; done';
      const expected = [0, '', warning(`${profile}/hooks.d/x`, noKeyring)];
      assert.deepEqual(apart(t, change, profile, backup), expected);
    });

    it('TurnKey’s keyrings are not asked where others are given', t => {
      const profile = makeSigned(t, 'x');
      const change = `${noKeyrings}\ncp "$GOOD" /usr/share/keyrings/tkl-x.gpg`;
      const passedOver = warning(`${profile}/hooks.d/x`, unknown('good'));
      assert.deepEqual(apart(t, change, profile, [...backup, ...keyringOptions('other')]), [
        0,
        '',
        passedOver,
      ]);
    });
  }
}

// What gpgv 2.2.40 wrote, with the fingerprints cut short.
const sig = '[GNUPG:] NEWSIG a@example\n[GNUPG:] KEY_CONSIDERED DCC8 0\n';
const id =
  '[GNUPG:] SIG_ID LTTtE0bJhxmluocWYl2AflyxH1Y 2026-11-23 1795392094\n[GNUPG:] KEY_CONSIDERED DCC8 0\n';
const valid = '[GNUPG:] VALIDSIG DCC8 2026-11-23 1795392094 0 4 0 22 8 00 DCC8\n';
const validText = valid.replace(' 00 ', ' 01 ');
const good = `${sig}${id}[GNUPG:] GOODSIG 18CE Good <a@example>\n${valid}`;
const noKey =
  '[GNUPG:] NEWSIG b@example\n[GNUPG:] ERRSIG 0DD6 22 8 00 1795392094 9 A534\n[GNUPG:] NO_PUBKEY 0DD6\n';
const noData = '[GNUPG:] NODATA 1\n[GNUPG:] NODATA 2\n';

const reports: [string, number, string, string][] = [
  ['a good one', 0, good, 'good'],
  ['two good ones', 0, good + good, 'good'],
  [
    'a changed file',
    1,
    `${sig}[GNUPG:] KEY_CONSIDERED DCC8 0\n[GNUPG:] BADSIG 18CE Good <a@example>\n`,
    changed,
  ],
  ['a key that is not there', 2, noKey, 'unknown-key'],
  ['an expired one', 1, `${sig}${id}[GNUPG:] EXPSIG 18CE Good\n${valid}`, 'its signature has expired'],
  [
    'a key that had expired',
    0,
    `${sig}[GNUPG:] KEYEXPIRED 1609372800\n${id}[GNUPG:] EXPKEYSIG 4B2A Expired\n${valid}`,
    'its signature was made after its key had expired',
  ],
  ...['1796000000', '20261130T000000'].map((end): [string, number, string, string] => [
    `a key that has expired since, at ${end}`,
    0,
    `${sig}[GNUPG:] KEYEXPIRED ${end}\n${id}[GNUPG:] EXPKEYSIG 4B2A Expired\n${valid}`,
    'expired-key',
  ]),
  [
    'a key that has expired, nobody knows when',
    0,
    `${sig}${id}[GNUPG:] EXPKEYSIG 4B2A Expired\n${valid}`,
    'its signature was made after its key had expired',
  ],
  [
    'a key that has expired since, and an older subkey',
    0,
    `${sig}[GNUPG:] KEYEXPIRED 1796000000\n[GNUPG:] KEYEXPIRED 1609372800\n${id}[GNUPG:] EXPKEYSIG 4B2A Expired\n${valid}`,
    'its signature was made after its key had expired',
  ],
  ['a digest that can be forged', 0, good.replace(' 8 00 ', ' 2 00 '), weak('SHA-1')],
  [
    'a revoked key',
    0,
    `${sig}${id}[GNUPG:] REVKEYSIG 85BE Revoked\n${valid}`,
    'the key of its signature was revoked',
  ],
  [
    'one for text',
    0,
    good.replace(valid, validText),
    'its signature was made for text, and leaves the line endings open',
  ],
  [
    'a good one and one for text',
    0,
    good + good.replace(valid, validText),
    'its signature was made for text, and leaves the line endings open',
  ],
  ['inline-signed text', 2, '', damaged],
  ['an empty file', 2, '[GNUPG:] NODATA 2\n', damaged],
  ['garbage', 2, noData, damaged],
  ['a good one, then garbage', 2, `[GNUPG:] NODATA 3\n${good}`, damaged],
  ['a good one, then that of another key', 2, good + noKey, 'unknown-key'],
  ['that of another key, then a good one', 2, noKey + good, 'unknown-key'],
  ['a weak digest', 2, `${sig}[GNUPG:] ERRSIG 18CE 1 1 00 1795392094 5 DCC8\n`, damaged],
  // Never seen, and not believed either.
  ['a good one, but another status', 1, good, damaged],
  ['a valid one that is not called good', 0, sig + id + valid, damaged],
  ['a good one that is not called valid', 0, good.replace(valid, ''), damaged],
  ['a good and an erroneous one', 0, `${good}[GNUPG:] ERRSIG 0DD6 22 8 00 1795392094 9 A534\n`, damaged],
  ['no report and status 0', 0, '', damaged],
  [
    'a good one in the words of a user id',
    2,
    `${noKey.replace('b@example', '[GNUPG:] GOODSIG 1 x')}`,
    'unknown-key',
  ],
  ['lines that only look like a report', 0, good.replaceAll('[GNUPG:]', ' [GNUPG:]'), damaged],
];
const signatures = new Map<string, Signature>([
  ['good', { kind: 'good' }],
  ['unknown-key', { kind: 'unknown-key', key: { id: '0DD6', date: '2026-11-23' } }],
  ['expired-key', { kind: 'expired-key', key: { id: '4B2A', date: '2026-11-30' } }],
]);
const bad = (reason: string): Signature => ({
  kind: 'bad',
  reason,
  remedy: remedyOf(reason).replace(/, or chmod -x.*/, ''),
});
for (const [what, status, report, expected] of reports) {
  test(`gpgv reports ${what}: ${expected}`, () => {
    assert.deepEqual(read(status, report), signatures.get(expected) ?? bad(expected));
  });
}
