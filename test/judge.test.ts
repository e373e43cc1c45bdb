import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judge } from '../src/judge.ts';
import type { Candidate, FileFacts } from '../src/types.ts';

const file: FileFacts = { type: 'file', size: 10, uid: 0, gid: 0, mode: 0o755 };

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
    interpreterAccess: 'ok',
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
]) {
  test(`'${name}' is the name of a hook`, () =>
    assert.deepEqual(judge(hook({ name }), byRoot), { kind: 'run' }));
}
const passedOver =
  '.dot .dump.swp dump~ #dump# dump.dpkg-dist dump.dpkg-old dump.dpkg-new dump.dpkg-tmp dump.ucf-old dump.ucf-dist dump.rpmsave ' +
  'dump.rpmnew dump.rpmorig dump.bak dump.old dump.orig dump.rej dump.save dump.swp dump.swo dump.tmp dump.sig dump.asc ' +
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
  [
    'a profile hook, for which no signature was checked',
    { source: { kind: 'profile', directory: '/p/hooks.d' } },
    skip('unsigned'),
  ],
  ['CRLF', script('/bin/sh\r'), broken('crlf')],
  ['CRLF behind env', script('/usr/bin/env', 'python3\r'), broken('crlf')],
  ['CRLF behind another interpreter, which may take it', script('/usr/bin/perl', '-w\r'), { kind: 'run' }],
  ['a relative interpreter', script('sh'), broken('relative-interpreter', { interpreter: 'sh' })],
  [
    'a missing interpreter',
    { ...script('/x'), interpreterAccess: 'ENOENT' },
    broken('no-interpreter', { interpreter: '/x' }),
  ],
  [
    'an interpreter that is not executable',
    { ...script('/x'), interpreterAccess: 'EACCES' },
    broken('interpreter-denied', { interpreter: '/x' }),
  ],
  ['a byte order mark', { program: { kind: 'byte-order-mark' } }, broken('byte-order-mark')],
  ['garbage', { program: { kind: 'garbage' } }, broken('garbage')],
  ['no #!', { program: { kind: 'shell-text' } }, { kind: 'run' }],
  ['executable but not readable', { program: { kind: 'unreadable', code: 'EACCES' } }, { kind: 'run' }],
  ['a program of this architecture', elf(62, '/lib64/ld-linux-x86-64.so.2'), { kind: 'run' }],
  ['its 32-bit kin', elf(3), { kind: 'run' }],
  ['another architecture', elf(183), broken('architecture', { machine: 183 })],
  [
    'a program without its loader',
    { ...elf(62, '/lib/ld-musl.so'), interpreterAccess: 'ENOENT' },
    broken('no-interpreter', { interpreter: '/lib/ld-musl.so' }),
  ],
];
for (const [what, change, expected] of cases) {
  test(`judged: ${what}`, () => assert.deepEqual(judge(hook(change), byRoot), expected));
}

const denials: [string, FileFacts, string][] = [
  ['its owner only', { ...file, uid: 0, mode: 0o700 }, 'no-permission'],
  ['its owner, who we are', { ...file, uid: 1000, mode: 0o700 }, 'noexec'],
  ['all but its owner, who we are', { ...file, uid: 1000, mode: 0o677 }, 'no-permission'],
  ['a group of ours', { ...file, gid: 4, mode: 0o710 }, 'noexec'],
  ['a group that is not ours', { ...file, gid: 5, mode: 0o710 }, 'no-permission'],
];
for (const [whom, facts, defect] of denials) {
  test(`access denied to a file that may be executed by ${whom}: ${defect}`, () => {
    assert.deepEqual(judge(hook({ file: facts, access: 'EACCES' }), byUser), broken(defect));
  });
}
