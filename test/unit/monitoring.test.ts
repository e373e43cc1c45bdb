// What monitoring is told: how sessions stand, the line for Nagios and Icinga, and metrics.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { checkAnswer, prometheusText } from '../../src/report/monitoring.ts';
import { fold, readStandings, updateStandings } from '../../src/session/standing.ts';
import { machineId } from '../../src/system/machine.ts';
import type { HookEntry, SessionEntry, Standing } from '../../src/types.ts';
import { scratch } from '../support/scratch.ts';

const H = 3_600_000;
const now = new Date('2026-11-25T10:00:00.000Z');
const at = (hoursAgo: number): string => new Date(now.getTime() - hoursAgo * H).toISOString();

const session = (hoursAgo: number, change: Partial<SessionEntry> = {}): SessionEntry => ({
  type: 'session',
  time: at(hoursAgo),
  session: `s${hoursAgo}`,
  operation: 'backup',
  name: 'restic',
  outcome: 'succeeded',
  error: null,
  seconds: 60,
  ...change,
});
const FAILED = { outcome: 'failed', error: "HookError: `/d/a backup pre` it's | bad" } as const;
const hook = (state: HookEntry['state'], change: Partial<HookEntry> = {}): HookEntry => ({
  ...{ type: 'hook', time: at(1), session: 's1', operation: 'backup', state, hook: 'a', path: '/d/a' },
  ...{ outcome: 'succeeded', status: 0, signal: null, seconds: 0.25 },
  ...change,
});
/** Sessions in the order in which they came to their end, a minute after they began. */
const standingsOf = (...entries: readonly SessionEntry[]): readonly Standing[] =>
  entries.reduce<readonly Standing[]>(
    (all, entry) =>
      fold(all, entry, [hook('pre'), hook('post')], new Date(Date.parse(entry.time) + 60_000).toISOString()),
    [],
  );

test('the last one, and the last that succeeded, of each operation and name', () => {
  const [borg, restic, ...rest] = standingsOf(session(30), session(6, FAILED), session(5, { name: 'borg' }));
  assert.deepEqual(rest, []);
  assert.deepEqual(
    [restic?.last.session, restic?.success?.session, borg?.last.session, borg?.success?.session],
    ['s6', 's30', 's5', 's5'],
  );
  assert.deepEqual(restic?.hooks, [{ hook: 'a', hasSucceeded: true, seconds: 0.5 }]);
});

test('a trial of some hooks is no backup, good or bad; what it owes counts', () => {
  const backup = session(30);
  assert.deepEqual(
    standingsOf(backup, session(2, { trial: true }), session(1, { ...FAILED, trial: true })),
    standingsOf(backup),
  );
  const [owing] = standingsOf(backup, session(1, { ...FAILED, name: 'true', trial: true, owed: 1 }));
  assert.deepEqual([owing?.name, owing?.owed], ['true', 1]);
});

test('whatever the order in which ends become known', () => {
  const [good, bad] = [session(30), session(6, FAILED)];
  assert.deepEqual(standingsOf(bad, good), standingsOf(good, bad));
});

test('what is owed, until it is settled or forgotten; of that session alone', () => {
  const owed = (...later: readonly SessionEntry[]): unknown =>
    standingsOf(session(6, { ...FAILED, owed: 2 }), ...later).map(each => each.owed);
  assert.deepEqual(owed(), [2]);
  assert.deepEqual(owed(session(6, { outcome: 'owing', owed: 1 })), [1]);
  for (const outcome of ['settled', 'forgotten'] as const) {
    assert.deepEqual(owed(session(6, { outcome })), [0]);
    assert.deepEqual(owed(session(7, { outcome })), [2]);
  }
});

test('it is kept in a file for root and the group adm, and comes back from it', t => {
  const directory = scratch(t);
  updateStandings(directory, session(6), []);
  const written = updateStandings(directory, session(5, FAILED), [hook('pre')]);
  assert.deepEqual(readStandings(directory), written);
  const { uid, gid, mode } = statSync(join(directory, 'status.json'));
  if (process.getuid?.() === 0) assert.deepEqual([uid, gid, mode & 0o7777], [0, 4, 0o640]);
  assert.equal(updateStandings(join(directory, 'none'), session(5), []), undefined);
  assert.ok(!existsSync(join(directory, 'none')));
});

test('what is not ours, or of another machine, is not believed', t => {
  const directory = scratch(t);
  const path = join(directory, 'status.json');
  assert.deepEqual(readStandings(directory), []);
  updateStandings(directory, session(6), []);
  const text = readFileSync(path, 'utf8');
  const whole = JSON.parse(text);
  for (const wrong of [
    '',
    '[]',
    '{}',
    JSON.stringify({ ...whole, version: 9 }),
    JSON.stringify({ ...whole, standings: [{}] }),
  ]) {
    writeFileSync(path, wrong);
    assert.equal(readStandings(directory), 'it cannot be understood', wrong);
  }
  writeFileSync(path, JSON.stringify({ ...whole, machine: '0' }));
  // A chroot may have no name of its machine.
  if (machineId() !== null) assert.deepEqual(readStandings(directory), []);
  chmodSync(path, 0o666);
  assert.equal(readStandings(directory), 'others than root can write it');
  execFileSync('rm', [path]);
  execFileSync('mkfifo', ['-m', '600', path]);
  assert.equal(readStandings(directory), 'it is no file');
});

const check = (standings: readonly Standing[] | string, hours = 26, name?: string): [number, string] => {
  const { status, line } = checkAnswer(standings, hours * H, now, name);
  return [status, line.split(' | ')[0] ?? ''];
};

test('one line, and the status of the Monitoring Plugins', () => {
  const why = " (HookError: `/d/a backup pre` it's / bad)";
  const cases: readonly (readonly [string, readonly SessionEntry[], number, string])[] = [
    ['good', [session(7)], 0, "OK - backup 'restic' good, the last good one ended 6 h ago"],
    ['none', [], 3, 'UNKNOWN - there was no backup yet'],
    ['a restore alone', [session(7, { operation: 'restore' })], 3, 'UNKNOWN - there was no backup yet'],
    [
      'failed',
      [session(30), session(7, FAILED)],
      2,
      `CRITICAL - backup 'restic' failed 6 h ago${why}; the last good one ended 29 h ago`,
    ],
    [
      'turned away',
      [session(7, { ...FAILED, outcome: 'turned-away' })],
      2,
      `CRITICAL - backup 'restic' failed 6 h ago${why}; never a good one`,
    ],
    ['too old', [session(28)], 2, 'CRITICAL - no backup ended for 26 h, the last good one ended 27 h ago'],
    [
      'put off',
      [session(30), session(20), session(1, { outcome: 'put-off', error: 'x' })],
      1,
      "WARNING - backup 'restic' was put off, the last good one ended 19 h ago",
    ],
    [
      'put off for long',
      [session(60), session(1, { outcome: 'put-off', error: 'x' })],
      2,
      "CRITICAL - backup 'restic' was put off, and the last good one ended 2 d ago",
    ],
    [
      'owing',
      [session(7, { ...FAILED, owed: 1 }), session(1, { operation: 'restore' })],
      2,
      "CRITICAL - backup 'restic': 1 hook is owed 'error', and services may be stopped (tklbam-hooks recover)",
    ],
    [
      'a failed restore',
      [session(7), session(2, { ...FAILED, operation: 'restore' })],
      1,
      `WARNING - restore 'restic' failed 119 min ago${why}; of backups, the last good one ended 6 h ago`,
    ],
    [
      'tried once, long ago',
      [session(99, { ...FAILED, name: 'true' }), session(7)],
      0,
      "OK - backup 'restic' good, the last good one ended 6 h ago",
    ],
  ];
  for (const [what, entries, status, line] of cases)
    assert.deepEqual(check(standingsOf(...entries)), [status, line], what);
  assert.deepEqual(check('it is gone (ENOENT)'), [
    3,
    'UNKNOWN - how the last backup ended cannot be read: it is gone (ENOENT)',
  ]);
});

test('of one name, and of any age', () => {
  const standings = standingsOf(session(99, { name: 'borg' }), session(7));
  assert.equal(check(standings, 26, 'borg')[0], 2);
  assert.deepEqual(check(standings, 26, 'rsync'), [3, "UNKNOWN - there was no backup 'rsync' yet"]);
  assert.equal(check(standings, Number.POSITIVE_INFINITY, 'borg')[0], 0);
});

test('performance data, as the guidelines have it', () => {
  const { line } = checkAnswer(standingsOf(session(7)), 26 * H, now);
  assert.equal(
    line.split(' | ')[1],
    "'restic age'=25140s;;93600;0; 'restic duration'=60s;;;0; 'restic owed'=0;;0;0;",
  );
  const never = checkAnswer(standingsOf(session(7, FAILED)), 26 * H, now);
  assert.match(never.line, / \| 'restic age'=U;;93600;0; /);
});

test('metrics', () => {
  const standings = standingsOf(session(30), session(7, { ...FAILED, name: 'a"b\\c\nd', owed: 1 }));
  const text = prometheusText(standings, '1.2.3');
  const lines = text.split('\n');
  const labels = String.raw`operation="backup",name="a\"b\\\\c\\x0ad"`;
  for (const line of [
    'tklbam_hooks_build_info{version="1.2.3"} 1',
    `tklbam_hooks_last_success_timestamp_seconds{operation="backup",name="restic"} ${Date.parse(at(30)) / 1000 + 60}`,
    `tklbam_hooks_last_end_timestamp_seconds{${labels}} ${Date.parse(at(7)) / 1000 + 60}`,
    `tklbam_hooks_last_succeeded{${labels}} 0`,
    `tklbam_hooks_owed_hooks{${labels}} 1`,
    'tklbam_hooks_hook_duration_seconds{operation="backup",name="restic",hook="a"} 0.5',
    '# UNIT tklbam_hooks_last_duration_seconds seconds',
  ])
    assert.ok(lines.includes(line), `${line}\n${text}`);
  assert.deepEqual(lines.slice(-2), ['# EOF', '']);
});
