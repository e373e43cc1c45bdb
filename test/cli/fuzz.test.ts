// Directories that nobody would write by hand. What `list` says of each entry and what `run` starts is compared with test/support/model.py, which
// works it out in another way.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  lchownSync,
  linkSync,
  mkdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Dice } from '../support/dice.ts';
import { isRoot, type Program, plainEnvironment, programs, run, scratch } from '../support/harness.ts';
import { repository } from '../support/repository.ts';

/** To make one directory again: what a failure printed. */
const wanted = process.env.TKLBAM_HOOKS_FUZZ_SEED;

/** Some 30 entries each. */
const DIRECTORIES = Number(process.env.TKLBAM_HOOKS_FUZZ_DIRECTORIES ?? 120);

type State = 'pre' | 'post';

/** A directory that was made, with what to try on it. */
interface Made {
  readonly seed: number;
  /** Everything that belongs to it is below. */
  readonly top: string;
  readonly hooks: string;
  readonly listed: readonly State[];
  readonly run: readonly State[];
}

/** What the model says of a directory in one state. */
interface Expected {
  readonly found: string;
  readonly status: number;
  readonly output: string;
  /** `VERDICT NAME`, in order. */
  readonly entries: readonly string[];
}

for (const program of programs) {
  // The source takes several times as long to start.
  const share = program.name === 'executable' ? 0.75 : 0.25;
  const count = wanted === undefined ? Math.ceil(DIRECTORIES * share) : 1;
  test(`${program.name}: what becomes of every entry of ${count} generated directories is what the model says`, t => {
    const base = wanted === undefined ? Math.floor(Math.random() * 2 ** 32) : Number(wanted);
    const directory = scratch(t);
    const special = makeSpecialFiles(directory);
    try {
      const all = Array.from({ length: count }, (_, index) =>
        make((base + index) >>> 0, join(directory, String(index)), special),
      );
      const model = askModel(all);
      for (const made of all) compare(program, made, model);
      if (wanted === undefined) assertVaried(all, model);
    } finally {
      // What the test's end removes is to be removable by an ordinary user too.
      spawnSync('chmod', ['-R', 'u+rwx', directory]);
      spawnSync('rm', ['-rf', directory]);
    }
  });
}

function compare(program: Program, made: Made, model: ReadonlyMap<string, Expected>): void {
  const of = (state: State): Expected => {
    const expected = model.get(`${made.hooks} ${state}`);
    assert.ok(expected !== undefined);
    return expected;
  };
  for (const state of made.listed) {
    const listed = run(program, ['list', 'backup', state, '--hooks', made.hooks, '--json']);
    const expected = of(state);
    agree(
      made,
      `list backup ${state}`,
      ['status 0', 'stderr ""', expected.found, ...expected.entries],
      [`status ${listed.status}`, `stderr ${JSON.stringify(listed.stderr)}`, ...readListing(listed.stdout)],
    );
  }
  for (const state of made.run) {
    const ran = run(program, ['run', 'backup', state, '--hooks', made.hooks]);
    const { status, output, entries } = of(state);
    const refused = entries.filter(entry => entry.startsWith('refused'));
    agree(
      made,
      `run backup ${state}`,
      [`status ${status}`, `${refused.length} named as refused`, ...output.split('\0')],
      [
        `status ${ran.status}`,
        `${ran.stderr.match(/^HookError: .* refused: /gm)?.length ?? 0} named as refused`,
        ...ran.stdout.split('\0'),
      ],
    );
  }
}

/** Fails with all that is needed to look into it. */
function agree(made: Made, what: string, expected: readonly string[], actual: readonly string[]): void {
  if (expected.join('\n') === actual.join('\n')) return;
  const ls = ['-lanR', '--quoting-style=c', made.top];
  const lines = [
    `${what} on ${made.hooks}: the model (-) and the program (+) do not agree`,
    ...expected.filter(line => !actual.includes(line)).map(line => `- ${line}`),
    ...actual.filter(line => !expected.includes(line)).map(line => `+ ${line}`),
    `the model's order: ${expected.join(', ')}`,
    `the program's order: ${actual.join(', ')}`,
    spawnSync('ls', ls, { encoding: 'utf8', env: plainEnvironment }).stdout,
    'The same directory again:',
    `TKLBAM_HOOKS_FUZZ_SEED=${made.seed} node --test test/cli/fuzz.test.ts`,
  ];
  assert.fail(lines.join('\n'));
}

/** A generator that makes only one kind of directory would compare nothing. */
function assertVaried(all: readonly Made[], model: ReadonlyMap<string, Expected>): void {
  const entries = all.flatMap(({ hooks }) => model.get(`${hooks} pre`)?.entries ?? []);
  assert.ok(entries.length >= 20 * all.length, `${entries.length} entries`);
  for (const verdict of ['enabled', 'disabled', 'passed-over', 'broken', 'refused']) {
    const count = entries.filter(entry => entry.startsWith(`${verdict} `)).length;
    assert.ok(count >= entries.length / 50, `only ${count} of ${entries.length} entries are ${verdict}`);
  }
}

function askModel(all: readonly Made[]): Map<string, Expected> {
  const script = join(repository, 'test/support/model.py');
  const asked = spawnSync('python3', ['-I', script, ...all.map(({ hooks }) => hooks)], {
    encoding: 'utf8',
    cwd: '/',
    env: plainEnvironment,
    maxBuffer: 64 << 20,
  });
  assert.deepEqual([asked.error, asked.status, asked.stderr], [undefined, 0, '']);
  // Two answers for each directory, each a line and below it the entries.
  const answers = asked.stdout.split(/^(?=pre |post )/m);
  assert.equal(answers.length, 2 * all.length);
  return new Map(
    answers.map((answer, index) => {
      const [line = '', ...entries] = answer.trimEnd().split('\n');
      const [state, found = '', status, output = ''] = line.split(' ');
      const expected = {
        found,
        status: Number(status),
        output: fromHex(output),
        entries: entries.map(entry => {
          const [verdict, name = ''] = entry.split(' ');
          return `${verdict} ${JSON.stringify(fromHex(name))}`;
        }),
      };
      return [`${all[index >> 1]?.hooks} ${state}`, expected];
    }),
  );
}

const fromHex = (hex: string): string => Buffer.from(hex, 'hex').toString();

/** The state of the local directory, and `VERDICT NAME` for each entry. */
function readListing(json: string): string[] {
  const listed: unknown = JSON.parse(json);
  assert.ok(typeof listed === 'object' && listed !== null && 'hooks' in listed && 'directories' in listed);
  assert.ok(Array.isArray(listed.hooks) && Array.isArray(listed.directories));
  const [local] = listed.directories;
  return [local.state, ...listed.hooks.map(({ status, name }) => `${status} ${JSON.stringify(name)}`)];
}

/** How bad a directory may be: in a tidy one `run backup pre` gets to start hooks. */
type Mood = 'tidy' | 'broken' | 'wild';

type Special = Readonly<Record<'fifo' | 'socket', string>>;

/** Node.js cannot make them; hard links of these are what directories get. */
function makeSpecialFiles(directory: string): Special {
  const python = 'import os, stat\nos.mknod("fifo", stat.S_IFIFO)\nos.mknod("socket", stat.S_IFSOCK)';
  const options = { cwd: directory, env: plainEnvironment };
  assert.equal(spawnSync('python3', ['-I', '-c', python], options).status, 0);
  const special = { fifo: join(directory, 'fifo'), socket: join(directory, 'socket') };
  for (const path of Object.values(special)) chmodSync(path, 0o755);
  return special;
}

function make(seed: number, top: string, special: Special): Made {
  const dice = new Dice(seed);
  const mood = dice.pick<Mood>(['tidy', 'broken', 'wild', 'wild']);
  const at = (way: string): string => join(top, way);
  const real = at(dice.chance(0.1) ? 'real.d' : 'hooks.d');
  const directories = [top, at('a'), at('a/deep'), at('b'), real];
  for (const directory of directories) mkdirSync(directory);

  // What links lead to, by ways that lead through other directories.
  for (const directory of ['a', 'a/deep', 'b'])
    for (const name of ['0', '1', '2', '3']) makeFile(dice, mood, Buffer.from(at(`${directory}/${name}`)));
  symlinkSync('../b/0', at('a/link'));
  symlinkSync(at('a/deep'), at('b/through'));
  symlinkSync('../through/../link', at('a/deep/far'));
  symlinkSync('a', at('through'));
  symlinkSync('second', at('a/first'));
  symlinkSync('first', at('a/second'));
  if (dice.chance(0.1)) {
    // Some 20 to 40 links are of no use here: the kernel follows them or not, as its cache has it.
    symlinkSync('0', at('b/chain0'));
    for (let i = 1; i <= 45; i++) symlinkSync(`chain${i - 1}`, at(`b/chain${i}`));
  }

  const made: Buffer[] = [];
  for (let count = 24 + dice.below(21); count > 0; count--) {
    const name = makeName(dice, mood);
    if (made.some(other => other.equals(name))) continue;
    makeEntry(dice, mood, Buffer.concat([Buffer.from(`${real}/`), name]), `${top}/`, made, special);
    made.push(name);
  }

  let hooks = real;
  if (real !== at('hooks.d')) {
    hooks = at('hooks.d');
    symlinkSync(dice.pick(['real.d', at('real.d'), 'a/deep/../../real.d']), hooks);
  } else if (dice.chance(0.06)) {
    hooks = dice.pick([at('a/0'), at('a/first'), at('a/0/hooks.d'), at('nowhere')]);
  }
  const listed: readonly State[] = dice.chance(0.3) ? ['pre', 'post'] : ['pre'];
  const started: readonly State[] = dice.chance(mood === 'tidy' ? 0.6 : 0.3) ? ['pre', 'post'] : [];

  // Last, and from the inside out: afterwards an ordinary user may have no way in.
  for (const directory of directories.toReversed()) {
    const isOnEveryPath = directory === top || directory === real;
    setDirectoryMode(dice, mood === 'wild' ? (isOnEveryPath ? 0.07 : 0.25) : 0, directory);
  }
  return { seed, top, hooks, listed, run: started };
}

function setDirectoryMode(dice: Dice, oddity: number, path: string): void {
  if (isRoot && dice.chance(oddity / 2)) chownSync(path, dice.pick([65534, 1, 1000]), dice.pick([0, 65534]));
  const odd = [0o775, 0o757, 0o777, 0o1777, 0o2755, 0o3775, 0o500, 0o300, 0o600, 0o100, 0o000];
  const mode = dice.pick([0o755, 0o755, 0o755, 0o700, 0o711, 0o750, 0o555]);
  chmodSync(path, dice.chance(oddity) ? dice.pick([...odd, dice.below(0o10000)]) : mode);
}

function makeEntry(
  dice: Dice,
  mood: Mood,
  path: Buffer,
  top: string,
  others: readonly Buffer[],
  special: Special,
): void {
  const kind = dice.below(100);
  const other = dice.pick([Buffer.from('0'), ...others]);
  if (kind < 58 || (kind < 64 && others.length === 0)) {
    makeFile(dice, mood, path);
  } else if (kind < 64) {
    try {
      linkSync(Buffer.concat([path.subarray(0, path.lastIndexOf('/') + 1), other]), path);
    } catch {
      // A directory, or a file of somebody else: the kernel allows no hard link of these.
      makeFile(dice, mood, path);
    }
  } else if (kind < 68) {
    mkdirSync(path);
    chmodSync(path, dice.pick([0o755, 0o644, 0o777, 0o000]));
  } else if (kind < 71) {
    linkSync(special.fifo, path);
  } else if (kind < 74) {
    linkSync(special.socket, path);
  } else {
    const name = path.subarray(path.lastIndexOf('/') + 1);
    symlinkSync(makeTarget(dice, mood, top, other, name), path);
    // Of no meaning: what decides is who may write to the directory.
    if (isRoot && dice.chance(0.1)) lchownSync(path, 65534, 65534);
  }
}

/** Where a link may lead to, below the directory's top. */
const WAYS = [
  ...['a/0', 'a/1', 'a/2', 'a/3', 'a/deep/0', 'a/deep/1', 'a/deep/2', 'b/0', 'b/1', 'b/2', 'b/3'],
  ...['a/link', 'a/deep/far', './/a/./0', 'through/1', 'through/deep/0'],
  // These search a directory that the file is not in.
  ...['a/deep/../3', 'b/../a/deep/../../b/1', 'a/../b/2', 'b/../a/1', 'a/deep/../../b/3'],
  ...['b/through/0', 'b/through/1', 'b/through/3', 'b/through/../2', 'b/through/../0'],
  ...['a', 'b/through'],
];
const WAYS_ASTRAY = ['nowhere', 'a/first', 'a/0/x', 'a/nowhere/0', 'n'.repeat(300), 'b/chain15', 'b/chain45'];
const SYSTEM_FILES = ['/bin/true', '/dev/null', '/dev/../dev/null', '/dev/zero'];

function makeTarget(dice: Dice, mood: Mood, top: string, other: Buffer, own: Buffer): Buffer {
  const kind = dice.below(100);
  if (kind < 10) return Buffer.from(dice.pick(SYSTEM_FILES));
  if (kind < 65 || mood === 'tidy') {
    return Buffer.from(`${dice.chance(0.5) ? top : '../'}${dice.pick(WAYS)}`);
  }
  if (kind < 75) return other;
  if (kind < 85) return dice.pick([own, Buffer.from('gone\xff', 'latin1'), Buffer.from('.//')]);
  return Buffer.from(`${top}${dice.pick(WAYS_ASTRAY)}`);
}

function makeFile(dice: Dice, mood: Mood, path: Buffer): void {
  const isBad = mood !== 'tidy' && dice.chance(0.25);
  writeFileSync(path, isBad ? makeBadContent(dice) : makeContent(dice));
  const mode = dice.pick([0o755, 0o755, 0o755, 0o700, 0o711, 0o550, 0o555, 0o1755, 0o644, 0o600, 0o400]);
  const odd = [0o775, 0o757, 0o4755, 0o2755, 0o6777, 0o100, 0o010, 0o001, 0o311, 0o455, 0o000];
  if (isRoot) {
    const owner = mood === 'wild' && dice.chance(0.12) ? dice.pick([65534, 1, 1000]) : 0;
    chownSync(path, owner, dice.pick([0, 0, 1, 65534]));
  }
  // Behind chown(2), which takes the set-id bits away.
  chmodSync(path, mood === 'wild' && dice.chance(0.25) ? dice.pick([...odd, dice.below(0o10000)]) : mode);
}

/** Says which hook runs. */
const SAY = 'printf \'%s\\0\' "$0"\n';
const TRUE = readFileSync('/bin/true');

/** What can be started, or is masked. */
function makeContent(dice: Dice): string | Buffer {
  return dice.pick<string | Buffer>([
    `#!/bin/sh\n${SAY}`,
    `#!/bin/sh\n${SAY}`,
    `#!/bin/sh -eu\n${SAY}`,
    `#! \t/bin/sh \t-e \n${SAY}`,
    `#!/usr/bin/env sh\n${SAY}`,
    `#!/bin/sh -e${' '.repeat(dice.below(244))}\n${SAY}`,
    `#!/bin/sh\n# tklbam-hooks: timeout=1h\n${SAY}`,
    `#!/bin/sh\n${SAY}\0\n`,
    '#!/bin/sh',
    SAY,
    `\n${SAY}`,
    `#\n${SAY}`,
    `# text\r\n${SAY}`,
    TRUE,
    '',
    ...(dice.chance(0.3) ? [`#!/bin/sh\n${SAY}exit 3\n`, `#!/bin/sh -e\r\n${SAY}`, 'nonsense\n'] : []),
  ]);
}

/** What cannot be started. */
function makeBadContent(dice: Dice): string | Buffer {
  return dice.pick<string | Buffer>([
    `#!/bin/sh\r\n${SAY}\r\n`,
    `#!/usr/bin/env sh\r\n${SAY}`,
    `#!/nonexistent/sh\n${SAY}`,
    `#! /bin/nonexistent -e\n${SAY}`,
    '#!/bin/nonexistent',
    `#!bin/sh\n${SAY}`,
    `#!sh\n${SAY}`,
    `#!${' '.repeat(dice.below(9))}\n${SAY}`,
    `#!/bin/sh -e${' '.repeat(244 + dice.below(400))}\n${SAY}`,
    `#!/etc/passwd\n${SAY}`,
    `#!/etc/passwd/sh\n${SAY}`,
    `\ufeff#!/bin/sh\n${SAY}`,
    // The NUL keeps it from the shell, which would do whatever it says.
    Buffer.concat([Buffer.from([dice.pick([1, 127, 128, 255]), 0]), garbage(dice, 1 + dice.below(6000))]),
    foreign(dice),
    withoutLoader(),
  ]);
}

const garbage = (dice: Dice, size: number): Buffer =>
  Buffer.from(Array.from({ length: size }, () => dice.below(256)));

/** /bin/true for another architecture, at least by its header. */
function foreign(dice: Dice): Buffer {
  const copy = Buffer.from(TRUE);
  // By elf.h: MIPS, PowerPC, RISC-V, LoongArch; S/390, whose byte order is the other one.
  if (dice.chance(0.8)) copy.writeUInt16LE(dice.pick([8, 20, 243, 258]), 18);
  else {
    copy.writeUInt8(2, 5);
    copy.writeUInt16BE(22, 18);
  }
  return copy;
}

function withoutLoader(): Buffer {
  const copy = Buffer.from(TRUE);
  copy.write('no', copy.indexOf('/ld-linux') + 1);
  return copy;
}

const WORDS = 'dump Dump stop B a b 10-x 9-x _ é Z z 漢 ﬀ \u{1f642}'.split(' ');
const SUFFIXES = [
  ...'dpkg-dist dpkg-old dpkg-new dpkg- ucf-old ucf-dist rpmsave rpmnew rpm pacnew bak old orig rej save'.split(
    ' ',
  ),
  ...'swp swo tmp new sig asc conf cfg ini json yaml yml txt md log lock sample example disabled off'.split(
    ' ',
  ),
  // These are none.
  ...'sh py BAK bak1 dpkg dpkgold ucf sav tmp- confs dpkg-old.sh'.split(' '),
  ...['bak\n', ''],
];
const ODD_NAMES = [
  ..."-x --help - $(id) `id` * ? [a] ~ %s a=b : a;id a&b | ' a'b # ## #a# ... .a ..a .bak bak dpkg-old README README.Debian NOTES.".split(
    ' ',
  ),
  ...['a b', ' ', '"', 'a"b', 'a\\b', '\\', '\n', 'a\nb', '#a\n#', '\r', '\t', '\x1b[31m', '\x7f', '\u202e'],
  ...['\ufeff', '\ufffd', '\u{10ffff}', '\uff5e', 'e\u0301'],
  ...['n'.repeat(255), `${'m'.repeat(251)}.bak`, '漢'.repeat(85)],
];

function makeName(dice: Dice, mood: Mood): Buffer {
  const word = `${dice.pick(WORDS)}${dice.below(30)}`;
  const kind = dice.below(100);
  if (kind < 55) return Buffer.from(dice.chance(0.5) ? word : `${dice.below(100)}-${word}`);
  if (kind < 70) return Buffer.from(`${word}.${dice.pick(SUFFIXES)}`);
  if (kind < 75)
    return Buffer.from(dice.pick([`.${word}`, `${word}~`, `#${word}#`, `#${word}`, `${word}~x`]));
  if (kind < 93 || mood === 'tidy') return Buffer.from(dice.pick(ODD_NAMES));
  // Bytes, most of them not UTF-8.
  const bytes = garbage(dice, 1 + dice.below(8)).map(byte => (byte === 0 || byte === 0x2f ? 0xff : byte));
  return ['.', '..'].includes(bytes.toString()) ? Buffer.from('\xff', 'latin1') : Buffer.from(bytes);
}
