// The log of sessions, and what a caller may ask of the guardian: texts that may be anything.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs, {
  chmodSync,
  mkdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { parseDemand } from '../../src/session/control.ts';
import { pastSessions } from '../../src/session/history.ts';
import { logAttempt, openLog } from '../../src/session/log.ts';
import type { HookEntry, LogEntry, SessionEntry } from '../../src/types.ts';
import { scratch } from '../support/scratch.ts';

const SESSION: SessionEntry = {
  type: 'session',
  time: '2026-11-25T01:02:03.000Z',
  session: 's1',
  operation: 'backup',
  outcome: 'succeeded',
  error: null,
  seconds: 5,
};
/** All that is in a log, of sessions that came to an end. */
const read = (path: string, warn: (line: string) => void = assert.fail) => pastSessions(path, 30, warn);

const HOOK: HookEntry = {
  type: 'hook',
  time: '2026-11-25T01:02:03.000Z',
  session: 's1',
  operation: 'backup',
  state: 'pre',
  hook: 'a',
  path: '/d/a',
  outcome: 'failed',
  status: 3,
  signal: null,
  seconds: 0.5,
};

test('what was written is read; a file for root alone', async t => {
  const path = join(scratch(t), 'log');
  const log = openLog(path, line => assert.fail(line));
  for (const entry of [HOOK, SESSION]) log.write(entry);
  assert.deepEqual(await read(path), [{ ...SESSION, hooks: [HOOK] }]);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.deepEqual(await read(join(scratch(t), 'none')), []);
});

test('what is no line of it is left out', async t => {
  const path = join(scratch(t), 'log');
  const line = (change: object, entry: object = HOOK): string =>
    `${JSON.stringify({ ...entry, ...change })}\n`;
  const wrong = [
    '\n',
    'text\n',
    '[]\n',
    'null\n',
    '{}\n',
    ...['time', 'session', 'operation', 'outcome', 'seconds', 'hook', 'state', 'type'].map(name =>
      line({ [name]: null }),
    ),
    line({ seconds: '1' }),
    line({ output: 7 }),
    line({ error: 7 }, SESSION),
    line({ error: undefined }, SESSION),
    // As a power cut, and a full disk, leave it; the next line follows at once.
    '\0\0\0\0{"type":"hook","ti',
  ];
  writeFileSync(path, `${wrong.join('')}${line({})}${line({}, SESSION).trimEnd()}`);
  assert.deepEqual(await read(path), [{ ...SESSION, hooks: [HOOK] }]);
});

test('where others can write it is not read, and a FIFO is not waited for', async t => {
  const path = join(scratch(t), 'log');
  execFileSync('mkfifo', [path]);
  const said: string[] = [];
  const warn = (line: string): void => {
    said.push(line);
  };
  assert.deepEqual(await read(path, warn), []);
  chmodSync(dirname(path), 0o777);
  assert.deepEqual(await read(path, warn), []);
  assert.deepEqual(said, [
    `tklbam-hooks: cannot read the log '${path}': it is not a file`,
    `tklbam-hooks: not reading the log '${path}': '${dirname(path)}' is writable by everybody`,
  ]);
});

test('the log before is read first, where the last one of an operation may be in it', async t => {
  const path = join(scratch(t), 'log');
  openLog(path, assert.fail).write(SESSION);
  renameSync(path, `${path}.1`);
  openLog(path, assert.fail).write({ ...SESSION, operation: 'restore' });
  assert.deepEqual(
    (await read(path)).map(({ operation }) => operation),
    ['backup', 'restore'],
  );
});

test('one that cannot be written is a warning, once; a link is not followed', t => {
  const directory = scratch(t);
  const [path, target] = [join(directory, 'log'), join(directory, 'target')];
  writeFileSync(target, 'theirs');
  symlinkSync(target, path);
  const said: string[] = [];
  const log = openLog(path, line => said.push(line));
  for (const entry of [HOOK, SESSION]) log.write(entry);
  assert.equal(said.length, 1);
  assert.match(
    String(said[0]),
    /^tklbam-hooks: cannot write the log '.*\/log' \(ELOOP\), going on without it$/,
  );
  assert.equal(readFileSync(target, 'utf8'), 'theirs');
  mkdirSync(join(directory, 'log.d'));
  openLog(join(directory, 'log.d'), line => said.push(line)).write(SESSION);
  assert.match(String(said[1]), /\(EISDIR\)/);
});

test('what of it cannot be read is told, and the rest counts', async t => {
  const path = join(scratch(t), 'log');
  mkdirSync(path);
  writeFileSync(`${path}.1.gz`, 'garbage');
  writeFileSync(`${path}.2`, `${JSON.stringify(SESSION)}\n`);
  const said: string[] = [];
  assert.equal((await read(path, line => said.push(line))).length, 1);
  assert.deepEqual(said, [
    `tklbam-hooks: cannot read the log '${path}': it is not a file`,
    `tklbam-hooks: cannot read the log '${path}.1.gz': gzip cannot uncompress it`,
  ]);
});

test('the line of a session is on disk when it is written: the record goes next', t => {
  const path = join(scratch(t), 'log');
  const { fdatasyncSync } = fs;
  let count = 0;
  t.mock.method(fs, 'fdatasyncSync', (fd: number) => {
    count++;
    fdatasyncSync(fd);
  });
  syncBuiltinESMExports();
  t.after(() => {
    t.mock.restoreAll();
    syncBuiltinESMExports();
  });
  const log = openLog(path, assert.fail);
  log.write(HOOK);
  assert.equal(count, 0);
  log.write(SESSION);
  assert.equal(count, 1);
});

test('an attempt of which only the words are known leaves a line', async t => {
  const path = join(scratch(t), 'log');
  await logAttempt(path, 'backup', 'wrong words');
  await logAttempt(path, 'run', 'no operation');
  await logAttempt(path, undefined, 'none');
  const entries = await read(path);
  assert.deepEqual(
    entries.map(
      entry => entry.type === 'session' && [entry.operation, entry.outcome, entry.error, entry.seconds],
    ),
    [['backup', 'turned-away', 'wrong words', 0]],
  );
});

test('the last ones of each operation, with their hooks, across rotated files', async t => {
  const path = join(scratch(t), 'log');
  const night = (index: number, change: Partial<SessionEntry> = {}): [HookEntry, SessionEntry] => [
    { ...HOOK, session: `s${index}`, hook: `hook${index}` },
    { ...SESSION, session: `s${index}`, ...change },
  ];
  const write = (...entries: readonly LogEntry[]): void => {
    const log = openLog(path, assert.fail);
    entries.forEach(log.write);
  };
  write(...night(0, { operation: 'restore' }), ...night(1), ...night(2), night(3)[0]);
  renameSync(path, `${path}.1`);
  execFileSync('gzip', [`${path}.1`]);
  write(night(3)[1], ...night(4, { outcome: 'failed', error: 'x' }), {
    ...SESSION,
    session: 's4',
    outcome: 'settled',
  });
  const past = await pastSessions(path, 3, assert.fail);
  assert.deepEqual(
    past.map(({ session, outcome, hooks }) => [session, outcome, hooks.map(({ hook }) => hook)]),
    [
      ['s0', 'succeeded', ['hook0']],
      ['s2', 'succeeded', ['hook2']],
      ['s3', 'succeeded', ['hook3']],
      ['s4', 'failed', ['hook4']],
    ],
  );
  const backups = await pastSessions(path, 1, assert.fail, ['backup']);
  assert.deepEqual(
    backups.map(({ session }) => session),
    ['s4'],
  );
});

test('what a caller asks for', () => {
  const asked = { state: 'pre', cwd: '/', env: { A: '1', B: '' } };
  assert.deepEqual(parseDemand(JSON.stringify(asked)), {
    stage: 'pre',
    cwd: '/',
    env: { A: '1', B: '' },
    view: false,
  });
  for (const state of ['pre', 'inspect', 'post'])
    assert.deepEqual(parseDemand(JSON.stringify({ ...asked, state, view: true })), {
      view: true,
      stage: state,
      cwd: '/',
      env: asked.env,
    });
  assert.deepEqual(parseDemand('{"state":"error","error":"HookError: a\\nb"}'), {
    failed: 'HookError: a\\x0ab',
  });
  const states = '"state" is one of "pre", "inspect", "post", "error", not ';
  const object = 'the request is not a JSON object';
  const env = '"env" is not an object of names and values';
  for (const [line, fault] of [
    ['', object],
    ['{"state":"pre"', object],
    ['null', object],
    ['[]', object],
    ['"pre"', object],
    ['{}', `${states}absent`],
    ['{"state":"begin"}', `${states}"begin"`],
    ['{"state":7}', `${states}of type number`],
    ['{"state":["pre"]}', `${states}of type object`],
    ['{"state":"error"}', '"error" is not a string'],
    ['{"state":"pre"}', '"cwd" is not an absolute path'],
    ['{"state":"pre","cwd":"."}', '"cwd" is not an absolute path'],
    ['{"state":"pre","cwd":"/\\u0000"}', '"cwd" is not an absolute path'],
    ['{"state":"pre","cwd":"/"}', env],
    ['{"state":"pre","cwd":"/","env":null}', env],
    ['{"state":"pre","cwd":"/","env":["A=1"]}', env],
    ['{"state":"pre","cwd":"/","env":{"A":1}}', 'the value of "A" in "env" is not a string'],
    ['{"state":"pre","cwd":"/","env":{"":"1"}}', '"" in "env" cannot be in an environment'],
    ['{"state":"pre","cwd":"/","env":{"A=B":"1"}}', '"A=B" in "env" cannot be in an environment'],
    ['{"state":"pre","cwd":"/","env":{"A\\u0000":"1"}}', '"A\\u0000" in "env" cannot be in an environment'],
    ['{"state":"pre","cwd":"/","env":{"A":"1\\u0000"}}', '"A" in "env" cannot be in an environment'],
  ] as const)
    assert.equal(parseDemand(line), fault, line);
});
