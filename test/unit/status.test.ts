// What `status` says: verdicts, rows, what fits a terminal, and JSON.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { historyText } from '../../src/report/history.ts';
import { localTime } from '../../src/report/session-messages.ts';
import { type Screen, statusJson, statusText } from '../../src/report/status.ts';
import type { HookEntry, PastSession, SessionRecord, Standing, State, Unfinished } from '../../src/types.ts';
import { record, since } from '../support/record.ts';

const now = new Date('2026-11-25T03:02:03.000Z');
const ended = (change: Partial<PastSession> = {}): PastSession => ({
  type: 'session',
  hooks: [],
  time: since,
  session: 's1',
  operation: 'backup',
  outcome: 'succeeded',
  error: null,
  seconds: 5,
  ...change,
});
const when = `2 h ago (${localTime(since)})`;

const hook = (name: string, state: State, change: Partial<HookEntry> = {}): HookEntry => ({
  ...{ type: 'hook', time: since, session: 's1', operation: 'backup', state, hook: name, path: name },
  ...{ outcome: 'succeeded', status: 0, signal: null, seconds: 1 },
  ...change,
});
const screen = { now, columns: 80, rows: 24, isWhole: false };
const text = (
  past: readonly PastSession[],
  sessions: readonly Unfinished[] = [],
  change: Partial<Screen> = {},
  standings: readonly Standing[] = [],
): string => statusText(sessions, past, standings, { ...screen, ...change });

test('of nothing', () => {
  assert.equal(text([]), 'No backup or restore is running, and none is in the log.\n');
  assert.deepEqual(JSON.parse(statusJson([], [], [])), { version: 3, sessions: [], last: [] });
});

test('a verdict on the last of each operation, and on each name if there are several', () => {
  assert.equal(
    text(
      [
        ended({ outcome: 'failed', error: 'older' }),
        ended({ name: 'a' }),
        ended({ operation: 'restore', outcome: 'put-off', error: 'not now' }),
      ].slice(1),
    ),
    `backup: good, ${when}, took 5 s\nrestore: put off, ${when}, took 5 s\n  not now\n  the last good one: none is known\n`,
  );
  assert.equal(
    text([
      ended({ name: 'borg' }),
      ended({ name: 'restic' }),
      ended({ name: 'borg', outcome: 'failed', error: 'x' }),
    ]),
    `backup 'borg': FAILED, ${when}, took 5 s\n  x\n  the last good one: ${when}\nbackup 'restic': good, ${when}, took 5 s\n`,
  );
  for (const outcome of ['failed', 'turned-away'] as const)
    assert.match(text([ended({ outcome, error: 'a\nb' })]), /^backup: FAILED, .*\n {2}a\\x0ab\n/);
});

/** What is said behind the last good one. */
const next = (change: Partial<PastSession>): string | undefined =>
  text([ended({ outcome: 'failed', error: 'x', ...change })])
    .split('\n\n')[0]
    ?.split('\n')[3];
const bad = { outcome: 'failed', status: 3 } as const;
const restic = { path: 'restic', outcome: 'failed', status: 1, signal: null, seconds: 1 } as const;
for (const [what, change, said] of [
  [
    'a hook',
    { hooks: [hook('a b', 'pre', bad)] },
    "mend a b, and try it: tklbam-hooks wrap backup --only 'a b' -- true",
  ],
  [
    'one of inspect',
    { hooks: [hook('dump', 'inspect', bad)] },
    'mend dump, and try it: tklbam-hooks wrap backup --inspect DIR --only dump -- true',
  ],
  [
    'one of a restore, which nobody would try',
    { operation: 'restore', hooks: [hook('dump', 'post', bad)] },
    'mend dump, and see: tklbam-hooks check dump',
  ],
  [
    'COMMAND, whatever hooks do in error',
    { command: restic, hooks: [hook('dump', 'pre'), hook('dump', 'error', bad)] },
    "see what 'restic' said: in the mail of cron, or in the journal of its unit",
  ],
  ['one that was turned away, whose error says it', { outcome: 'turned-away' }, ''],
] as const)
  test(`what to do is said of ${what}`, () => assert.equal(next(change), said === '' ? '' : `  ${said}`));

test('history has a line for each: the hook that failed, or else what went wrong, or else the slowest', () => {
  const lines = (columns: number): string[] =>
    historyText(
      [
        ended({ hooks: [hook('dump', 'pre', { seconds: 7 }), hook('mail', 'post')] }),
        ended({ outcome: 'failed', error: "'restic' exited with status 1", hooks: [hook('dump', 'pre')] }),
        ended({ outcome: 'failed', error: 'x', hooks: [hook('dump', 'pre'), hook('mail', 'post', bad)] }),
        ended({ outcome: 'turned-away', error: 'y'.repeat(100) }),
        ended(),
      ],
      columns,
    ).split('\n');
  const left = `${localTime(since).slice(0, 16)}  backup`;
  assert.deepEqual(lines(80), [
    'STARTED           OPERATION  OUTCOME  TOOK  REMARK',
    `${left}     good     5 s   slowest: dump, 7 s`,
    `${left}     FAILED   5 s   'restic' exited with status 1`,
    `${left}     FAILED   5 s   mail: post exit status 3`,
    `${left}     FAILED   5 s   ${'y'.repeat(33)}...`,
    `${left}     good     5 s   -`,
    '',
  ]);
  assert.ok(lines(200).some(line => line.endsWith('y'.repeat(100))));
});

test('the last good one, also where the log does not go back to it', () => {
  const end = {
    session: 's0',
    time: '2026-11-01T01:02:03.000Z',
    ended: since,
    outcome: 'succeeded',
    seconds: 1,
    error: null,
  } as const;
  const standing: Standing = {
    operation: 'backup',
    name: 'restic',
    last: end,
    owed: 0,
    hooks: [],
    success: end,
  };
  const past = [ended({ name: 'restic', outcome: 'failed', error: 'x' })];
  assert.match(text(past, [], {}, [standing]), /\n {2}the last good one: 24 d ago \(2026-11-01 /);
  assert.match(
    text(past, [], {}, [{ ...standing, name: 'borg' }]),
    /\n {2}the last good one: none is known\n/,
  );
});

test('what is printed of the log and the record is escaped, and once', () => {
  const evil = 'a\x1b[2J\nb\u202e';
  const [shown, twice] = ['a\\x1b[2J\\x0ab\\u{202e}', '\\x0a'];
  const output = `${evil.replace('\n', '')}\n${twice}`;
  const past = [
    ended({
      outcome: 'failed',
      error: `${evil}${twice}`,
      hooks: [hook(evil, 'pre', { outcome: 'failed', status: 3, output })],
    }),
  ];
  assert.equal(
    text(past),
    `backup: FAILED, ${when}, took 5 s
  ${shown}${twice}
  the last good one: none is known
  mend ${shown}, and try it: tklbam-hooks wrap backup --only '${shown}' -- true

The hooks of the backup of ${localTime(since)}:
! ${shown}  ==========        1 s  pre: exit status 3
      | ${shown.replace(twice, '')}
      | ${twice}
`,
  );
  for (const kind of ['running', 'cut-off'] as const) {
    const running = text([], [{ kind, record: { ...record, command: `${evil}${twice}` } }]);
    assert.ok(running.includes(`'${shown}${twice}'`));
  }
  const json = statusJson([{ kind: 'owing', record: { ...record, error: evil } }], past, []);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: It is those that must not be there.
  assert.doesNotMatch(json, /[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]/);
  assert.equal(JSON.parse(json).sessions[0].error, evil);
});

test('a row for each hook, failed ones first and marked; a bar of its time beside its usual one', () => {
  const night = (seconds: Readonly<Record<string, number>>, change: Partial<PastSession> = {}): PastSession =>
    ended({
      ...change,
      hooks: Object.entries(seconds).flatMap(([name, each]) => [
        hook(name, 'pre', { seconds: each / 2 }),
        hook(name, 'post', { seconds: each / 2 }),
      ]),
    });
  const usual = { dump: 100, services: 20 };
  const killed = hook('mail', 'post', { outcome: 'killed', status: null, signal: 'SIGKILL', seconds: 0 });
  const last = night({ dump: 50, services: 40 });
  const past = [
    ...[1, 2, 3].map(() => night(usual)),
    // One that failed says nothing of what is usual.
    night({ dump: 1000 }, { outcome: 'failed' }),
    { ...last, outcome: 'failed', error: 'x', hooks: [...last.hooks, killed] } as const,
  ];
  const [, table = ''] = text(past).split('\n\n');
  assert.equal(
    table,
    `The hooks of the backup of ${localTime(since)}:
! mail                        0 s  post: SIGKILL
  dump      =====.....       50 s  usually 1 min 40 s
  services  ==++             40 s  usually 20 s
`,
  );
});

test('it fits the terminal: what is good goes first, then output, then what failed; the verdict never', () => {
  const names = [...'abcdefghijklmnopqrstuvwxyz'];
  const output = Array.from({ length: 9 }, (_, line) => `line ${line}`).join('\n');
  const hooks = names.map(name =>
    hook(name, 'pre', 'abcdef'.includes(name) ? { outcome: 'failed', status: 3, output } : {}),
  );
  const past = [ended({ outcome: 'failed', error: 'x'.repeat(120), hooks })];
  for (const rows of [12, 16, 24, 40, 60]) {
    const lines = text(past, [], { rows }).split('\n').slice(0, -1);
    const height = lines.reduce((sum, line) => sum + Math.ceil(Math.max(1, line.length) / 80), 0);
    assert.ok(height < rows, `${height} of ${rows}`);
    assert.match(lines[0] ?? '', /^backup: FAILED/);
    // Nothing more would have fitted.
    assert.ok(height > rows - 8, `${height} of ${rows}`);
  }
  assert.match(
    text(past, [], { rows: 12 }),
    /^! and 5 more that failed \(--all\)\n {2}and 20 more, without a failure \(--all\)$/m,
  );
  const whole = text(past, [], { rows: 12, isWhole: true });
  for (const name of names) assert.match(whole, new RegExp(`^[ !] ${name} `, 'm'));
  assert.equal(whole.match(/line \d/g)?.length, 54);
  assert.ok(
    text([ended({ hooks: [hook('a', 'pre', { outcome: 'failed', output: 'y'.repeat(500) })] })]).includes(
      `${'y'.repeat(69)}...\n`,
    ),
  );
});

test('of a session that is not over', () => {
  const told = (kind: 'running' | 'cut-off' | 'owing', change: Partial<SessionRecord> = {}): string =>
    text([], [{ kind, record: { ...record, ...change } }]);
  const who = `pid 7, since ${localTime(since)}, called by 'tkl\\x0abam' (pid 6)`;
  assert.equal(told('running'), `backup: running (inspect), ${who}\n`);
  assert.match(told('running', { command: 'restic' }), /^backup: running \('restic'\), /);
  assert.equal(
    told('cut-off'),
    `backup: CUT OFF (last state: inspect), ${who}; 'tklbam-hooks recover' finishes it, and tells these hooks:\n  /d/d\\u{202e}\n  /d/b\n`,
  );
  assert.match(told('cut-off', { started: [] }), /'tklbam-hooks recover' finishes it\n$/);
  assert.equal(
    told('owing'),
    `backup: OWING, the one of ${localTime(since)} failed, and these hooks are still owed 'error':
! /d/d\\u{202e} (failed 0 of 3 times; 'tklbam-hooks recover' tells it again)
! /d/b (failed 1 of 3 times; 'tklbam-hooks recover' tells it again)
! /d/a (failed 3 of 3 times; see to it by hand, then 'tklbam-hooks recover --forget backup')
`,
  );
  for (const kind of ['unreadable', 'copy'] as const)
    assert.match(
      text([], [{ kind, operation: 'restore' }]),
      /^restore: .*\('tklbam-hooks recover' sets it aside\)\n$/,
    );
});

test('as JSON, whatever kind it is', () => {
  const { sessions } = JSON.parse(
    statusJson(
      [
        { kind: 'owing', record },
        { kind: 'copy', operation: 'restore' },
      ],
      [],
      [],
    ),
  );
  assert.deepEqual(sessions, [
    {
      operation: 'backup',
      kind: 'owing',
      running: false,
      session: 'l0-1',
      name: 'restic',
      since,
      state: 'inspect',
      guardian: 7,
      caller: { pid: 6, name: 'tkl\nbam' },
      started: ['/d/a', '/d/b', '/d/c', '/d/d\u202e'],
      owed: [
        { path: '/d/d\u202e', attempts: 0 },
        { path: '/d/b', attempts: 1 },
        { path: '/d/a', attempts: 3 },
      ],
      error: null,
    },
    {
      operation: 'restore',
      kind: 'copy',
      running: false,
      session: null,
      name: null,
      since: null,
      state: null,
      guardian: null,
      caller: null,
      started: [],
      owed: [],
      error: null,
    },
  ]);
});
