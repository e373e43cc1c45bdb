// A service that a hook stopped runs again, whatever becomes of the backup: in a virtual machine, under systemd, with the
// package and the stand-in for tklbam installed, up to a power cut.
import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { cacheDirectory } from '../support/harness.ts';
import { openMachine } from '../support/machine.ts';
import { repository } from '../support/repository.ts';
import { textsOf } from '../support/transcript.ts';
import { vmImage } from '../support/vm-image.ts';

let directory: string;
/** All that the guest said, in five boots. */
let transcript: readonly string[] = [];

before(async () => {
  mkdirSync(cacheDirectory, { recursive: true, mode: 0o755 });
  directory = mkdtempSync(join(cacheDirectory, 'session-vm-'));
  const machine = openMachine(directory, vmImage());
  for (const file of ['session', 'stop-cron'])
    copyFileSync(join(repository, 'test/vm', file), join(machine.work, file));
  ({ transcript } = machine);
  for (const [name, isCut] of Object.entries({
    first: true,
    second: false,
    third: true,
    fourth: false,
    fifth: false,
  })) {
    assert.equal(await machine.boot('bash', 'session', name), isCut, transcript.join('\n'));
  }
});
after(() => {
  if (directory !== undefined) rmSync(directory, { recursive: true, force: true });
});

/** The lines of that name. */
const said = (name: string): string[] => textsOf(transcript, name);

/** The service runs, nothing is left of the session, and this is what the hook was told. */
function assertOver(name: string, status: string, told: RegExp): void {
  const [line = ''] = said(name);
  const [ended, service, left, hook = ''] = line.split('\t');
  assert.deepEqual([ended, service, left], [status, 'active', ''], transcript.join('\n'));
  assert.match(hook, told);
}
const gone = /^pre: inactive;error: the caller, 'tklbam-backup' \(pid \d+\), ended before post$/;

test('a good backup stops the service and starts it again', () => {
  assertOver('good', '0', /^pre: inactive;post: $/);
});

test('in the middle of every backup the service is stopped, and the session recorded', () => {
  assert.deepEqual(
    said('middle'),
    Array(10).fill('-\tinactive\tbackup.json backup.lock restore.lock\tpre: inactive'),
  );
});

test('the service runs again after a hook that failed', () => {
  assertOver(
    'hook-fails',
    '1',
    /^pre: inactive;error: `\/etc\/tklbam\/hooks\.d\/stop-cron backup pre` non-zero exitcode \(1\)$/,
  );
});

test('... after a backup that failed', () => {
  assertOver(
    'backup-raises',
    '1',
    /^pre: inactive;error: the caller, 'tklbam-backup' \(pid \d+\), failed: Exception: duplicity failed$/,
  );
});

test('... after TERM', () => assertOver('backup-terminated', '143', gone));

test('... after kill -9', () => assertOver('backup-killed', '137', gone));

test('... after HUP, and on a terminal that is gone', () => {
  assertOver('backup-hung-up', '129', gone);
  assertOver('terminal-gone', '137', gone);
});

test('... after kill -9 of the guardian, when recover has run', () => {
  assert.deepEqual(said('guardian-killed'), [
    '-\tinactive\tbackup.json backup.lock restore.lock\tpre: inactive',
  ]);
  assertOver(
    'guardian-recovered',
    '0',
    /^pre: inactive;error: the backup was cut off when its guardian \(pid \d+\) was killed \(last state: inspect\)$/,
  );
});

test('... after a power cut, when the machine has booted', () => {
  const [, line = ''] = said('power-cut');
  assert.equal(
    line,
    '-\tactive\t\terror: the backup was cut off when the machine went down (last state: inspect)',
    transcript.join('\n'),
  );
});

test('... after an ordinary shut-down in the middle: what fails while the machine goes down does not count', () => {
  const [line = ''] = said('shut-down');
  assert.match(line, /^-\tactive\t\terror: the (?:caller|guardian|backup)\b/, transcript.join('\n'));
  const entries = said('log-shut-down').map(text => JSON.parse(text));
  assert.deepEqual(
    entries.map(({ type, state, outcome }) => [type, state, outcome]),
    [
      ['hook', 'error', 'failed'],
      ['session', undefined, 'failed'],
      ['hook', 'error', 'succeeded'],
      ['session', undefined, 'settled'],
    ],
    transcript.join('\n'),
  );
});

test('... after a power cut, when the hooks are mounted later than the recovery, by the next backup', () => {
  const [line = ''] = said('not-mounted');
  assert.equal(line, 'failed\tinactive\tbackup.json\t', transcript.join('\n'));
  assert.match(
    said('status-owed').join('\n'),
    /^backup: OWING, .* failed, and these hooks are still owed 'error':\n! \/etc\/tklbam\/hooks\.d\/stop-cron \(failed 0 of 3 times; 'tklbam-hooks recover' tells it again\)\n/,
  );
  assertOver(
    'mounted',
    '0',
    /^error: the backup was cut off when the machine went down \(last state: inspect\);pre: inactive;post: $/,
  );
});

test('a record that comes back with a restore is put aside, and no hook is told', () => {
  assertOver('backed-up', '0', /^pre: inactive;post: $/);
  assert.deepEqual(said('restored'), ['0\tactive\tbackup.json.copy\tpre: inactive;post: ']);
  assert.match(
    said('restored-says').join('\n'),
    /^tklbam-hooks: the record of a backup session is not of one that was cut off here: it came back with a restore or a copy; keeping it as '\/var\/lib\/tklbam-hooks\/sessions\/backup\.json\.copy', no hook is told$/,
  );
});

test('... so is one of another machine; on its own it is of a session that was cut off', () => {
  assert.deepEqual(said('other-machine'), ['0\tinactive\tbackup.json.copy\t']);
  assert.match(said('other-machine-says').join('\n'), /: it is of another machine; keeping it as /);
  assertOver('same-machine', '0', /^error: the backup was cut off when its guardian \(pid \d+\) was killed /);
});

test('without a hook the service would not have come back at boot', () => {
  assert.deepEqual(said('service'), ['inactive'], transcript.join('\n'));
});

test('log and journal tell of the power cut', () => {
  const pattern =
    /^{"type":"session",.*"operation":"backup",.*"outcome":"failed","error":"the backup was cut off when the machine went down/;
  assert.match(said('log').at(-1) ?? '', pattern);
  const journal = said('journal');
  // From a stream and a datagram socket: in the order of their arrival.
  for (const expected of [
    /^tklbam-hooks: the backup of \S+ \S+ was cut off when the machine went down/,
    /^backup error: 'stop-cron' succeeded after /,
    /^backup '[^']+': FAILED, took .*: the backup was cut off when the machine went down/,
  ])
    assert.ok(
      journal.some(line => expected.test(line)),
      journal.join('\n'),
    );
});

test('status shows a backup that runs, one that was cut off, and how the last one ended', () => {
  assert.match(
    said('status-running')[0] ?? '',
    /^backup: running \(inspect\), pid \d+, since .*, called by 'tklbam-backup' \(pid \d+\)$/,
  );
  const [cutOff = '', owed] = said('status-cut-off');
  assert.match(
    cutOff,
    /^backup: CUT OFF \(last state: inspect\), .*; 'tklbam-hooks recover' finishes it, and tells these hooks:$/,
  );
  assert.equal(owed, '  /etc/tklbam/hooks.d/stop-cron');
  const status = said('status').join('\n');
  assert.match(
    status,
    /^backup: FAILED, .*\n {2}the backup was cut off when the machine went down(?:.|\n)*\n {2}the last good one: /,
  );
  assert.match(status, /\n {2}stop-cron {2}[=+.]+ .* s/);
});

test('at a boot without a record the unit is not started, and it never brings an ordering cycle', () => {
  assert.deepEqual(
    said('condition').sort(),
    ['ConditionResult=no', 'ExecMainStartTimestamp='],
    transcript.join('\n'),
  );
  assert.match(
    said('unit').join('\n'),
    /^tklbam-hooks-recover\.service .*was skipped because (?:of an unmet condition check|no trigger condition checks were met)/,
  );
  assert.deepEqual([...said('verify'), ...said('cycles')], []);
});
