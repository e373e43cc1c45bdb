// Records on disk: what is believed, and how it is written.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs, {
  existsSync,
  linkSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { lock, purposeOf } from '../../src/session/flock.ts';
import {
  load,
  parseRecord,
  removeUnsaved,
  save,
  understand,
  update,
} from '../../src/session/session-file.ts';
import { processes, type Stat } from '../../src/system/proc.ts';
import type { SessionRecord, Trace } from '../../src/types.ts';
import { repository } from '../support/repository.ts';
import { scratch } from '../support/scratch.ts';
import { settled } from '../support/settled.ts';
import { makeZombie, startUnwaited } from '../support/zombie.ts';

const RECORD: SessionRecord = {
  session: 'l0-1',
  operation: 'backup',
  name: 'tklbam-backup',
  since: '2026-11-25T01:02:03.000Z',
  uptime: 12.5,
  guardian: { pid: 7, start: 9, boot: 'b' },
  caller: { pid: 6, name: 'tklbam' },
  state: 'pre',
  command: null,
  sources: [
    { kind: 'local', directory: '/etc/tklbam/hooks.d' },
    { kind: 'profile', directory: '/p/hooks.d' },
  ],
  keyrings: ['/k.gpg'],
  timeoutMs: 1000,
  carriedEnv: { TKLBAM_HOOK_RESUME: 'yes' },
  started: [{ path: '/etc/tklbam/hooks.d/a', attempts: 0, isSettled: false }],
  error: null,
  failed: '',
  isOver: false,
};
const HERE = { machine: 'm', file: '1 2' };
const FILE = { version: 2, ...HERE, sessions: [RECORD] };
const kind = (found: unknown, here = HERE): string => understand(found, 'backup', here).kind;
const withRecord = (change: Record<string, unknown>): unknown => ({
  ...FILE,
  sessions: [{ ...RECORD, ...change }],
});

test('a whole record is understood, as it is', () => {
  assert.deepEqual(understand(FILE, 'backup', HERE), { kind: 'sessions', sessions: [RECORD] });
  assert.equal(kind({ ...FILE, sessions: [] }), 'sessions');
});

test('what may be unknown may be null', () => {
  for (const name of ['uptime', 'command', 'keyrings', 'timeoutMs', 'error'])
    assert.equal(kind(withRecord({ [name]: null })), 'sessions', name);
  assert.equal(kind(withRecord({ guardian: { pid: 7, start: null, boot: null } })), 'sessions');
  for (const name of ['machine', 'file']) assert.equal(kind({ ...FILE, [name]: null }), 'sessions', name);
});

/** Each name with values that it cannot have. */
const WRONG: Readonly<Record<keyof SessionRecord, readonly unknown[]>> = {
  session: [undefined, null, 1, 'a\nb', 'a\0'],
  operation: [undefined, null, 'restore', 'run', 1],
  name: [undefined, null, 1, 'a\nb'],
  since: [undefined, null, 1_700_000_000, 'yesterday', ''],
  uptime: [undefined, '1', -1],
  guardian: [
    undefined,
    null,
    [],
    {},
    { pid: '7', start: 9, boot: 'b' },
    { pid: 7, boot: 'b' },
    { pid: 7, start: 9 },
    { pid: 0, start: null, boot: null },
    { pid: -1, start: null, boot: null },
    { pid: 1.5, start: null, boot: null },
  ],
  caller: [undefined, null, 'tklbam', {}, { pid: 6 }, { name: 'tklbam' }, { pid: 6, name: 7 }],
  state: [undefined, null, 'begin', 0],
  command: [undefined, 1, 'a\nb'],
  sources: [
    undefined,
    null,
    {},
    [null],
    [{}],
    [{ kind: 'remote', directory: '/p' }],
    [{ kind: 'local', directory: 'p' }],
  ],
  view: [
    null,
    {},
    '/srv',
    [null],
    [{ device: '8:1', root: '/', path: 'srv' }],
    [{ root: '/', path: '/srv' }],
  ],
  keyrings: [undefined, '/k.gpg', [1], ['k.gpg'], ['/k\0']],
  timeoutMs: [undefined, '1', -1],
  carriedEnv: [
    undefined,
    null,
    [],
    { PATH: '/tmp' },
    { TKLBAM_HOOK_RESUME: 1 },
    { TKLBAM_HOOK_RESUME: 'a\0' },
  ],
  started: [
    undefined,
    null,
    {},
    ['/a'],
    [{ path: 'a', attempts: 0, isSettled: false }],
    [{ path: '/a', isSettled: false }],
    [{ path: '/a', attempts: -1, isSettled: false }],
    [{ path: '/a', attempts: 0 }],
    [{ path: '/a', attempts: 0, isSettled: 0 }],
  ],
  error: [undefined, 1, 'a\nb', 'a\0'],
  failed: [undefined, null, 1, 'a\0'],
  isOver: [undefined, null, 0],
  isTrial: [null, false, 1],
};
for (const [name, values] of Object.entries(WRONG)) {
  test(`a record whose ${name} is wrong is not understood`, () => {
    for (const value of values)
      assert.equal(kind(withRecord({ [name]: value })), 'unreadable', JSON.stringify(value));
  });
}

test('nor is one whose frame is wrong', () => {
  for (const found of [undefined, null, 1, 'x', [], [RECORD], {}, RECORD])
    assert.equal(kind(found), 'unreadable', JSON.stringify(found));
  for (const change of [
    { version: 1 },
    { version: 3 },
    { version: '2' },
    { machine: 1 },
    { machine: undefined },
    { file: 1 },
    { file: undefined },
    { sessions: RECORD },
    { sessions: [RECORD, {}] },
  ])
    assert.equal(kind({ ...FILE, ...change }), 'unreadable', JSON.stringify(change));
});

test('a record of another machine, or another file, is a copy', () => {
  assert.deepEqual(understand({ ...FILE, machine: 'other' }, 'backup', HERE), {
    kind: 'copy',
    reason: 'it is of another machine',
  });
  for (const file of ['1 3', '3 2'])
    assert.deepEqual(understand({ ...FILE, file }, 'backup', HERE), {
      kind: 'copy',
      reason: 'it came back with a restore or a copy',
    });
});

test('a restore may bring the id of another machine while its session runs', () => {
  const sessions = [{ ...RECORD, operation: 'restore' }];
  const found = { ...FILE, machine: 'before', sessions };
  assert.equal(understand(found, 'restore', HERE).kind, 'sessions');
  assert.equal(understand({ ...found, file: '3 4' }, 'restore', HERE).kind, 'copy');
  assert.equal(
    understand({ ...found, file: null }, 'restore', HERE).kind,
    'copy',
    'nothing says that it is ours',
  );
});

function directory(t: TestContext): string {
  const path = join(scratch(t), 'state');
  mkdirSync(join(path, 'sessions'), { recursive: true, mode: 0o700 });
  return path;
}
const uid = process.geteuid?.() ?? 0;

test('what was saved is loaded; none is none', t => {
  const path = directory(t);
  assert.deepEqual(load(path, 'backup', uid), { kind: 'absent' });
  save(path, 'backup', [RECORD]);
  assert.deepEqual(load(path, 'backup', uid), { kind: 'sessions', sessions: [RECORD] });
  assert.equal(statSync(join(path, 'sessions/backup.json')).mode & 0o777, 0o600);
  save(path, 'backup', []);
  assert.deepEqual(load(path, 'backup', uid), { kind: 'absent' });
});

const HOOK = { path: '/h/b', attempts: 0, isSettled: false };

test('what is known of a hook later stands behind it, and counts', t => {
  const path = directory(t);
  const text = (): string => readFileSync(join(path, 'sessions/backup.json'), 'utf8');
  const other = { ...RECORD, session: 'l0-2' };
  const file = save(path, 'backup', [other, RECORD]);
  assert.ok(file !== undefined);
  const before = text();
  assert.ok(update(path, 'backup', file, RECORD.session, HOOK));
  assert.ok(update(path, 'backup', file, RECORD.session, { ...HOOK, path: '/h/c' }));
  assert.ok(update(path, 'backup', file, RECORD.session, { ...HOOK, attempts: 2 }));
  assert.ok(text().startsWith(before));
  const started = [...RECORD.started, { ...HOOK, attempts: 2 }, { ...HOOK, path: '/h/c' }];
  assert.deepEqual(load(path, 'backup', uid), {
    kind: 'sessions',
    sessions: [other, { ...RECORD, started }],
  });
});

test('half a line at the end is one that nobody has acted upon; any other is damage', t => {
  const path = directory(t);
  save(path, 'backup', [RECORD]);
  const file = join(path, 'sessions/backup.json');
  const whole = readFileSync(file, 'utf8');
  const line = JSON.stringify({ session: RECORD.session, started: HOOK });
  for (let length = 0; length <= line.length; length++) {
    writeFileSync(file, whole + line.slice(0, length));
    assert.deepEqual(load(path, 'backup', uid), { kind: 'sessions', sessions: [RECORD] }, String(length));
  }
  writeFileSync(file, `${whole}${line.slice(0, -1)}\n${line}\n`);
  assert.deepEqual(load(path, 'backup', uid), { kind: 'unreadable' });
  const wrong = JSON.stringify({ session: RECORD.session, started: { ...HOOK, path: 'b' } });
  writeFileSync(file, `${whole}${wrong}\n`);
  assert.deepEqual(load(path, 'backup', uid), { kind: 'unreadable' });
  assert.throws(() => parseRecord(whole.slice(0, -2)));
});

test('what cannot be added whole is not added at all; what is added is on disk', t => {
  const path = directory(t);
  const name = join(path, 'sessions/backup.json');
  const file = save(path, 'backup', [RECORD]) ?? '';
  const whole = readFileSync(name, 'utf8');
  const { fdatasyncSync, writeSync } = fs;
  const calls: string[] = [];
  let isFull = true;
  t.mock.method(fs, 'writeSync', (fd: number, data: Buffer) => {
    if (isFull && data.length < 9)
      throw Object.assign(new Error('full'), { code: 'ENOSPC', syscall: 'write' });
    calls.push('write');
    return writeSync(fd, isFull ? data.subarray(0, -8) : data);
  });
  t.mock.method(fs, 'fdatasyncSync', (fd: number) => {
    calls.push('fdatasync');
    fdatasyncSync(fd);
  });
  syncBuiltinESMExports();
  t.after(() => {
    t.mock.restoreAll();
    syncBuiltinESMExports();
  });
  assert.throws(() => update(path, 'backup', file, RECORD.session, HOOK), { code: 'ENOSPC' });
  assert.equal(readFileSync(name, 'utf8'), whole);
  isFull = false;
  calls.length = 0;
  assert.ok(update(path, 'backup', file, RECORD.session, HOOK));
  assert.deepEqual(calls, ['write', 'fdatasync']);
});

test('nothing is added to another file in its place, or to none', t => {
  const path = directory(t);
  const name = join(path, 'sessions/backup.json');
  const file = save(path, 'backup', [RECORD]) ?? '';
  const whole = readFileSync(name, 'utf8');
  rmSync(name);
  assert.equal(update(path, 'backup', file, RECORD.session, HOOK), false);
  assert.ok(!existsSync(name));
  writeFileSync(name, whole);
  assert.equal(update(path, 'backup', file, RECORD.session, HOOK), false);
  assert.equal(readFileSync(name, 'utf8'), whole);
});

test('a link, a directory or a FIFO in its place is neither followed, waited for, nor written through', t => {
  const path = directory(t);
  const file = join(path, 'sessions/backup.json');
  const target = join(scratch(t), 'target');
  writeFileSync(target, 'theirs', { mode: 0o600 });
  symlinkSync(target, file);
  assert.throws(() => load(path, 'backup', uid), /ELOOP/);
  rmSync(file);
  mkdirSync(file);
  assert.deepEqual(load(path, 'backup', uid), { kind: 'unreadable' });
  rmSync(file, { recursive: true });
  for (const make of [symlinkSync, linkSync]) {
    make(target, `${file}.new`);
    save(path, 'backup', [RECORD]);
    assert.equal(readFileSync(target, 'utf8'), 'theirs');
  }
});

test('it is on disk before it has its name, and its name before anything else is done', t => {
  const path = directory(t);
  const calls: string[] = [];
  const { fsyncSync, renameSync, unlinkSync } = fs;
  t.mock.method(fs, 'fsyncSync', (fd: number) => {
    calls.push(fs.fstatSync(fd).isDirectory() ? 'fsync directory' : 'fsync file');
    fsyncSync(fd);
  });
  t.mock.method(fs, 'renameSync', (...[from, to]: Parameters<typeof renameSync>) => {
    calls.push('rename');
    renameSync(from, to);
  });
  t.mock.method(fs, 'unlinkSync', (name: string) => {
    if (existsSync(name)) calls.push('unlink');
    unlinkSync(name);
  });
  syncBuiltinESMExports();
  t.after(() => {
    t.mock.restoreAll();
    syncBuiltinESMExports();
  });
  save(path, 'backup', [RECORD]);
  assert.deepEqual(calls.splice(0), ['fsync file', 'rename', 'fsync directory']);
  save(path, 'backup', []);
  assert.deepEqual(calls, ['unlink', 'fsync directory']);
});

test('what a killed process left is removed, and what a living one needs is not', async t => {
  const path = directory(t);
  const sessions = join(path, 'sessions');
  const zombie = await startUnwaited(t);
  await makeZombie(zombie);
  const left = ['backup.json.new', 'backup.view', 'stderr-4194305', `stderr-${zombie}`];
  const needed = ['restore.json.new', 'restore.view', `stderr-${process.pid}`, 'stderr-x'];
  for (const name of [...left, ...needed]) writeFileSync(join(sessions, name), '');
  removeUnsaved(path, 'backup');
  for (const name of left) assert.ok(!existsSync(join(sessions, name)), name);
  for (const name of needed) assert.ok(existsSync(join(sessions, name)), name);
});

test('a lock is not taken through a link', t => {
  const path = directory(t);
  const target = join(scratch(t), 'target');
  symlinkSync(target, join(path, 'sessions/backup.lock'));
  assert.throws(() => lock(path, 'backup', 'session', 0), /ELOOP/);
  assert.ok(!existsSync(target));
});

test('a lock says what its holder does, and keeps others off; it goes with its holder', t => {
  const path = directory(t);
  const first = lock(path, 'backup', 'recovery', 0);
  assert.equal(purposeOf(path, 'backup'), 'recovery');
  assert.equal(lock(path, 'backup', 'session', 0.01), undefined);
  lock(path, 'restore', 'session', 0)?.close();
  first?.become('session');
  assert.equal(purposeOf(path, 'backup'), 'session');
  first?.close();
  assert.ok(!existsSync(join(path, 'sessions/backup.lock')));
  const second = lock(path, 'backup', 'session', 0);
  assert.notEqual(second, undefined);
  second?.close();
});

test('whoever waited for a lock that its holder has removed takes the new one', async t => {
  const path = directory(t);
  const file = join(path, 'sessions/backup.lock');
  const mine = lock(path, 'backup', 'session', 0);
  const flock = join(repository, 'src/session/flock.ts');
  const code = `const { lock } = await import(${JSON.stringify(flock)}); const mine = lock(${JSON.stringify(path)}, 'backup', 'recovery', 60); process.stdout.write(String((await import('node:fs')).existsSync(${JSON.stringify(file)}))); mine.close();`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', code], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.on('data', data => {
    output += data;
  });
  const closed = once(child, 'close');
  // In a pid namespace /proc/locks shows no lock whose taker, flock(1), has ended, nor who waits for it.
  let waiting: Stat | undefined;
  while (waiting === undefined && child.exitCode === null) {
    await sleep(10);
    waiting = [...(processes()?.values() ?? [])].find(({ pid, parent }) => {
      return parent === child.pid && readFileSync(`/proc/${pid}/comm`, 'latin1') === 'flock\n';
    });
  }
  await settled(waiting?.pid);
  mine?.close();
  await closed;
  assert.equal(output, 'true');
});

test('the trace of a hook that runs is left for the next holder, and not that of one that has ended', t => {
  const path = directory(t);
  const file = join(path, 'sessions/backup.lock');
  const trace = (tag: string): Trace => ({ cgroup: null, leader: null, hasOwnGroup: false, tag: [tag] });
  const leave = (traces: readonly (Trace | undefined)[]): Trace | undefined => {
    const mine = lock(path, 'backup', 'session', 0);
    for (const each of traces) mine?.note(each);
    const left = readFileSync(file);
    mine?.close();
    writeFileSync(file, left, { mode: 0o600 });
    const next = lock(path, 'backup', 'recovery', 0);
    next?.close();
    return next?.left;
  };
  const long = trace('A=a very long one that a shorter one does not cover');
  assert.deepEqual(leave([long, trace('B=b')]), trace('B=b'));
  assert.equal(leave([trace('A=a'), undefined]), undefined);
});
