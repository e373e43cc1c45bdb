import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NO_HEADER } from '../../src/hooks/header.ts';
import { judge, judgeListings } from '../../src/hooks/judge.ts';
import type { Candidate, FileFacts, Interpreter, Program } from '../../src/types.ts';

const file: FileFacts = { type: 'file', size: 10, uid: 0, gid: 0, mode: 0o755, modifiedMs: 0 };

const native: Program = { kind: 'elf', machine: 62, loader: undefined };

function interpreter(change: Partial<Interpreter> = {}): Interpreter {
  return {
    ...{ path: '/bin/sh', role: 'interpreter', of: undefined, file, ancestorDirs: [], program: native },
    ...{ access: 'ok', ...change },
  };
}

function hook(change: Partial<Candidate> = {}): Candidate {
  const name = change.name ?? 'dump';
  return {
    source: { kind: 'local', directory: '/etc/tklbam/hooks.d' },
    name,
    bytes: Buffer.from(name),
    path: `/etc/tklbam/hooks.d/${name}`,
    link: undefined,
    file,
    program: { kind: 'script', interpreter: '/bin/sh', argument: '' },
    access: 'ok',
    interpreters: [interpreter()],
    ancestorDirs: [],
    header: NO_HEADER,
    ...change,
  };
}
const byRoot = { uid: 0, gids: [0], arch: 'x64' };
const byUser = { uid: 1000, gids: [1000, 4], arch: 'x64' };

for (const name of [
  'dump',
  '10-dump',
  'foo.sh',
  'foo.py',
  '-x',
  'a b',
  '$(id)',
  'x;id',
  'dpkg-dist',
  'old',
  'bak',
  'a.bak.sh',
  'readme',
  'READMEs',
  '10-README',
]) {
  test(`'${name}' is the name of a hook`, () =>
    assert.deepEqual(judge(hook({ name }), byRoot), { kind: 'run' }));
}
const passedOver =
  '.dot .dump.swp dump~ #dump# dump.dpkg-dist dump.dpkg-old dump.dpkg-new dump.dpkg-tmp dump.ucf-old dump.ucf-dist dump.rpmsave ' +
  'dump.rpmnew dump.rpmorig dump.bak dump.old dump.orig dump.rej dump.save dump.swp dump.swo dump.tmp dump.sig dump.asc ' +
  'README README.md README.Debian COPYING LICENSE CHANGELOG dump.html dump.rst ' +
  'dump.conf dump.sample dump.disabled dump.example dump.new dump.sh.bak';
for (const name of passedOver.split(' ')) {
  test(`'${name}' is passed over`, () =>
    assert.deepEqual(judge(hook({ name }), byRoot), { kind: 'skip', why: 'name' }));
}

test('a name with a newline before its suffix is passed over', () => {
  assert.deepEqual(judge(hook({ name: 'a\nb.bak' }), byRoot), { kind: 'skip', why: 'name' });
});

const broken = (kind: string, more: object = {}) => ({ kind: 'broken', defect: { kind, ...more } });
const skip = (why: string) => ({ kind: 'skip', why });
const script = (interpreter: string, argument = '') => ({
  program: { kind: 'script', interpreter, argument } as const,
});
const line = (fault: 'long' | 'bare') => ({ program: { kind: 'interpreter-line', fault } as const });
const elf = (machine: number, loader?: string) => ({ program: { kind: 'elf', machine, loader } as const });

const cases: [string, Partial<Candidate>, unknown][] = [
  ['not executable', { file: { ...file, mode: 0o644 } }, skip('disabled')],
  ['executable for one class only', { file: { ...file, mode: 0o610 } }, { kind: 'run' }],
  ['a directory', { file: { ...file, type: 'directory' } }, skip('not-a-file')],
  ['a FIFO', { file: { ...file, type: 'other' } }, skip('not-a-file')],
  ['empty', { file: { ...file, size: 0 } }, skip('masked')],
  ['a link to /dev/null', { link: '/dev/null', file: { ...file, type: 'other' } }, skip('masked')],
  [
    'a link to /dev/null where that is missing',
    { link: '/dev/null', file: { error: 'ENOENT' } },
    skip('masked'),
  ],
  ['a dangling link', { link: '/x', file: { error: 'ENOENT' } }, broken('dangling-link', { target: '/x' })],
  ['a link to itself', { link: 'dump', file: { error: 'ELOOP' } }, broken('link-loop')],
  [
    'a link through a directory that may not be searched',
    { link: '/x/y', file: { error: 'EACCES' } },
    broken('unreachable', { code: 'EACCES' }),
  ],
  [
    'a dangling link with the name of a backup',
    { name: 'x.bak', link: '/x', file: { error: 'ENOENT' } },
    skip('name'),
  ],
  ['a name that is not UTF-8', { name: '\ufffd', bytes: Buffer.from([0xff]) }, broken('name-not-utf8')],
  ['on a noexec mount', { access: 'EACCES' }, broken('noexec')],
  ['CRLF', script('/bin/sh\r'), broken('crlf')],
  ['CRLF behind env', script('/usr/bin/env', 'python3\r'), broken('crlf')],
  ['CRLF behind another interpreter, which may take it', script('/usr/bin/perl', '-w\r'), { kind: 'run' }],
  ['a first line that is too long', line('long'), broken('interpreter-line', { fault: 'long' })],
  ['a first line without an interpreter', line('bare'), broken('interpreter-line', { fault: 'bare' })],
  ['a byte order mark', { program: { kind: 'byte-order-mark' } }, broken('byte-order-mark')],
  ['garbage', { program: { kind: 'garbage' } }, broken('garbage')],
  ['no #!', { program: { kind: 'shell-text' } }, { kind: 'run' }],
  ['executable but not readable', { program: { kind: 'unreadable', code: 'EACCES' } }, { kind: 'run' }],
  ['a program of this architecture', elf(62, '/lib64/ld-linux-x86-64.so.2'), { kind: 'run' }],
  ['its 32-bit kin', elf(3), { kind: 'run' }],
  ['another architecture', elf(183), broken('architecture', { machine: 183 })],
];
for (const [what, change, expected] of cases) {
  test(`judged: ${what}`, () => assert.deepEqual(judge(hook(change), byRoot), expected));
}

const nested = { path: '/y', of: '/bin/sh' };
const wrapper: Program = { kind: 'script', interpreter: '/y', argument: '' };
const faults: [string, Partial<Interpreter>[], object][] = [
  ['relative', [{ path: 'sh', file: { error: 'ENOENT' } }], { kind: 'relative' }],
  ['missing', [{ file: { error: 'ENOENT' } }], { kind: 'missing' }],
  ['below what is no directory', [{ file: { error: 'ENOTDIR' } }], { kind: 'missing' }],
  ['a loop of links', [{ file: { error: 'ELOOP' } }], { kind: 'unreachable', code: 'ELOOP' }],
  ['not executable', [{ access: 'EACCES' }], { kind: 'denied' }],
  ['a FIFO', [{ file: { ...file, type: 'other' } }], { kind: 'denied' }],
  ['a directory', [{ file: { ...file, type: 'directory' } }], { kind: 'directory' }],
  ['empty', [{ file: { ...file, size: 0 }, program: { kind: 'shell-text' } }], { kind: 'empty' }],
  ['text without #!', [{ program: { kind: 'shell-text' } }], { kind: 'no-program' }],
  [
    'text with a #! too long',
    [{ program: { kind: 'interpreter-line', fault: 'long' } }],
    { kind: 'no-program' },
  ],
  ['garbage', [{ program: { kind: 'garbage' } }], { kind: 'no-program' }],
  [
    'of another architecture',
    [{ program: { ...native, machine: 183 } }],
    { kind: 'architecture', machine: 183 },
  ],
  [
    'a script without its own',
    [{ program: wrapper }, { ...nested, file: { error: 'ENOENT' } }],
    { kind: 'missing' },
  ],
  ['a loader that is missing', [{ role: 'loader', file: { error: 'ENOENT' } }], { kind: 'missing' }],
  ['a loader that is a script', [{ role: 'loader', program: wrapper }], { kind: 'no-program' }],
];
for (const [what, chain, fault] of faults) {
  test(`judged: an interpreter that is ${what}`, () => {
    const interpreters = chain.map(interpreter);
    const { path, role, of } = interpreters.at(-1) ?? interpreter();
    const expected = broken('interpreter', { interpreter: { path, role, of }, fault });
    assert.deepEqual(judge(hook({ interpreters }), byRoot), expected);
  });
}
test('judged: an interpreter that is a script', () => {
  const interpreters = [interpreter({ program: wrapper }), interpreter(nested)];
  assert.deepEqual(judge(hook({ interpreters }), byRoot), { kind: 'run' });
});
test('judged: interpreters that are scripts, more than the kernel follows', () => {
  const interpreters = Array.from({ length: 5 }, () => interpreter({ program: wrapper }));
  assert.deepEqual(judge(hook({ interpreters }), byRoot), broken('interpreter-depth'));
});

const denials: [string, FileFacts, string][] = [
  ['its owner only', { ...file, uid: 0, mode: 0o700 }, 'no-permission'],
  ['its owner, who we are', { ...file, uid: 1000, mode: 0o700 }, 'noexec'],
  ['others but not its owner, who we are', { ...file, uid: 1000, mode: 0o655 }, 'no-permission'],
  ['a group of ours', { ...file, gid: 4, mode: 0o710 }, 'noexec'],
  ['a group that is not ours', { ...file, gid: 5, mode: 0o710 }, 'no-permission'],
];
for (const [whom, facts, defect] of denials) {
  test(`access denied to a file that may be executed by ${whom}: ${defect}`, () => {
    assert.deepEqual(judge(hook({ file: facts, access: 'EACCES' }), byUser), broken(defect));
  });
}

const refuse = (refusal: object) => ({ kind: 'refuse', refusal });
for (const mode of [0o775, 0o757, 0o777, 0o722, 0o1777]) {
  test(`a hook with mode ${mode.toString(8)} is refused`, () => {
    const expected = refuse({ kind: 'writable', mode, directory: undefined });
    assert.deepEqual(judge(hook({ file: { ...file, mode } }), byRoot), expected);
  });
  test(`a hook below a directory with mode ${mode.toString(8)} is refused`, () => {
    const ancestorDirs = [
      { path: '/', uid: 0, mode: 0o755 },
      { path: '/x', uid: 0, mode },
      { path: '/x/y', uid: 0, mode: 0o755 },
    ];
    assert.deepEqual(
      judge(hook({ ancestorDirs }), byRoot),
      refuse({ kind: 'writable', mode, directory: '/x' }),
    );
  });
}
for (const mode of [0o4755, 0o2755, 0o6755]) {
  test(`a hook with mode ${mode.toString(8)} is refused`, () => {
    assert.deepEqual(judge(hook({ file: { ...file, mode } }), byRoot), refuse({ kind: 'set-id' }));
  });
}
for (const mode of [0o700, 0o755, 0o511, 0o1755]) {
  test(`a hook with mode ${mode.toString(8)} is run`, () => {
    assert.deepEqual(judge(hook({ file: { ...file, mode } }), byRoot), { kind: 'run' });
  });
}
const owners: [string, number, typeof byRoot, boolean][] = [
  ['root, for root', 0, byRoot, true],
  ['a user, for root', 1000, byRoot, false],
  ['root, for a user', 0, byUser, true],
  ['a user, for that user', 1000, byUser, true],
  ['another user', 1001, byUser, false],
];
for (const [whose, uid, by, isTrusted] of owners) {
  test(`a hook of ${whose}: ${isTrusted ? 'run' : 'refused'}`, () => {
    const expected = isTrusted ? { kind: 'run' } : refuse({ kind: 'owner', uid, directory: undefined });
    assert.deepEqual(judge(hook({ file: { ...file, uid } }), by), expected);
  });
  test(`a hook in a directory of ${whose}: ${isTrusted ? 'run' : 'refused'}`, () => {
    const ancestorDirs = [{ path: '/x', uid, mode: 0o755 }];
    const expected = isTrusted ? { kind: 'run' } : refuse({ kind: 'owner', uid, directory: '/x' });
    assert.deepEqual(judge(hook({ ancestorDirs }), by), expected);
  });
}
test('a hook that is refused and broken is refused', () => {
  const change = { file: { ...file, mode: 0o777 }, ...script('sh') };
  assert.deepEqual(judge(hook(change), byRoot).kind, 'refuse');
});
test('what is disabled or passed over is not refused', () => {
  assert.deepEqual(judge(hook({ file: { ...file, mode: 0o666 } }), byRoot), skip('disabled'));
  assert.deepEqual(judge(hook({ name: 'a.bak', file: { ...file, mode: 0o777 } }), byRoot), skip('name'));
});

const strangers: [string, Partial<Interpreter>, object][] = [
  ['of a stranger', { file: { ...file, uid: 1000 } }, { kind: 'owner', uid: 1000, directory: undefined }],
  [
    'that its group can write to',
    { file: { ...file, mode: 0o775 } },
    { kind: 'writable', mode: 0o775, directory: undefined },
  ],
  [
    'in a directory of a stranger',
    { ancestorDirs: [{ path: '/x', uid: 1000, mode: 0o755 }] },
    { kind: 'owner', uid: 1000, directory: '/x' },
  ],
  [
    'in what a user mounted',
    { ancestorDirs: [{ path: '/x', mountedBy: 'user 1000' }] },
    { kind: 'user-mount', by: 'user 1000', directory: '/x' },
  ],
];
for (const [what, change, refusal] of strangers) {
  test(`a hook with an interpreter ${what} is refused`, () => {
    const { path, role, of, ...facts } = interpreter(change);
    const expected = refuse({ kind: 'interpreter', interpreter: { path, role, of }, refusal });
    assert.deepEqual(judge(hook({ interpreters: [{ path, role, of, ...facts }] }), byRoot), expected);
  });
}
test('an interpreter that is set-id is as good as another one', () => {
  const interpreters = [interpreter({ file: { ...file, mode: 0o4755 } })];
  assert.deepEqual(judge(hook({ interpreters }), byRoot), { kind: 'run' });
});
test('what a user mounted is refused, whatever is there', () => {
  const ancestorDirs = [{ path: '/x', mountedBy: 'user 1000' }];
  const expected = refuse({ kind: 'user-mount', by: 'user 1000', directory: '/x' });
  assert.deepEqual(judge(hook({ ancestorDirs }), byRoot), expected);
  assert.deepEqual(judge(hook({ ancestorDirs, file: { error: 'EPERM' } }), byRoot), expected);
});

const local = { kind: 'local', directory: '/l' } as const;
const profile = { kind: 'profile', directory: '/p' } as const;
const listing = (source: typeof local | typeof profile, ...candidates: readonly Candidate[]) => ({
  ...{ source, state: 'read' as const, ancestorDirs: [{ path: '/l', uid: 0, mode: 0o755 }] },
  candidates: candidates.map(each => ({ ...each, source })),
});
for (const [what, change] of [
  ['enabled', {}],
  ['disabled', { file: { ...file, mode: 0o644 } }],
  ['a mask', { link: '/dev/null' }],
  ['broken', { file: { error: 'ENOENT' }, link: '/x' }],
] as const) {
  test(`a local entry that is ${what} hides the profile's of the same name, and no other`, () => {
    const listings = [listing(local, hook(change)), listing(profile, hook(), hook({ name: 'other' }))];
    const { judged } = judgeListings(listings, byRoot);
    assert.deepEqual(
      judged.slice(1).map(({ verdict }) => verdict),
      [skip('hidden'), { kind: 'run' }],
    );
  });
}
test('a directory of a stranger is refused, empty as it is', () => {
  const ancestorDirs = [{ path: '/l', uid: 1000, mode: 0o755 }];
  const { listings } = judgeListings([{ ...listing(local), ancestorDirs }, listing(profile)], byRoot);
  assert.deepEqual(
    listings.map(({ refusal }) => refusal),
    [{ kind: 'owner', uid: 1000, directory: '/l' }, undefined],
  );
});
