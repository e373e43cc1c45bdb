// A real clock, an hour off: a virtual machine's, with the built executable in it and a real NTP server outside.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { executable } from '../support/built.ts';
import { cacheDirectory } from '../support/harness.ts';
import { type NtpServer, startNtpServer } from '../support/ntp-server.ts';
import { repository } from '../support/repository.ts';
import { vmImage } from '../support/vm-image.ts';

interface Case {
  readonly status: string;
  /** By how many seconds the clock was set. */
  readonly set: number;
  readonly output: string;
}

const HOUR = 3600;
let directory: string;
let server: NtpServer;
let said = '';
const cases = new Map<string, Case>();

before(async () => {
  mkdirSync(cacheDirectory, { recursive: true, mode: 0o755 });
  directory = mkdtempSync(join(cacheDirectory, 'fixclock-vm-'));
  const image = vmImage();
  server = await startNtpServer(directory);

  const work = join(directory, 'work');
  mkdirSync(join(work, 'hooks.d'), { recursive: true });
  copyFileSync(executable(), join(work, 'tklbam-hooks'));
  copyFileSync(join(repository, 'hooks.d/fixclock'), join(work, 'hooks.d/fixclock'));
  copyFileSync(join(repository, 'test/vm/fixclock'), join(work, 'test'));
  copyFileSync(join(repository, 'test/vm/two-faced-ntp-server'), join(work, 'two-faced-ntp-server'));
  const [file = '', ...args] = [
    ...server.enter,
    ...[join(repository, 'test/vm/run'), '-t', '3600', '-c', '1 hour ago', image, work, 'bash', 'test'],
  ];
  const run = spawnSync(file, args, { encoding: 'utf8' });
  said = `${run.stdout}\n${run.stderr}`;
  assert.equal(run.status, 0, said);
  for (const line of run.stdout.split('\n')) {
    const [name, status, set, output] = line.split('\t');
    if (name !== undefined && status !== undefined && output !== undefined) {
      cases.set(name, { status, set: Number(set), output });
    }
  }
});
after(() => {
  server?.stop();
  if (directory !== undefined) rmSync(directory, { recursive: true, force: true });
});

/** `set`: by how many seconds the clock was set, give or take what rounding and a slow machine make of it. */
function assertCase(name: string, status: number, set: number, output: RegExp): void {
  const found = cases.get(name);
  assert.ok(found !== undefined, said);
  assert.equal(found.status, String(status), said);
  assert.ok(Math.abs(found.set - set) <= 3, `${name}: set by ${found.set} s\n${said}`);
  assert.match(found.output, output);
}

test('the hook sets a clock that is an hour slow', () => {
  assertCase('boot', 0, 0, /^$/);
  assertCase(
    'ntpdate',
    0,
    HOUR,
    /^fixclock: the clock was 3\d{3} s slow, set it from 10\.0\.2\.2, with ntpdate$/,
  );
});

test('the clock is then that of the server', () => {
  assertCase('offset', 0, 0, / [+-][01]\.\d+ \+\/- .* 10\.0\.2\.2 /);
});

test('run backup pre runs the hook, with an empty environment', () => {
  assertCase(
    'run',
    0,
    HOUR,
    /^fixclock: the clock was 3\d{3} s slow, set it from 10\.0\.2\.2, with ntpdate$/,
  );
});

test('in state post the hook leaves the clock', () => assertCase('post', 0, 0, /^$/));

test('the third server sets it when the first is unknown and the second silent', () => {
  assertCase(
    'third-server',
    0,
    HOUR,
    /^fixclock: the clock was 3\d{3} s slow, set it from 10\.0\.2\.2, with ntpdate$/,
  );
});

test('a clock that was set to a false time, by a server that had told the right one when asked, is turned back', () => {
  assertCase(
    'two-faced',
    1,
    0,
    /Result: {2}its time, \d{4}-\d\d-\d\d, is 1000 days ahead of this clock: .*; it had been taken, turned back /,
  );
});

test('a server that does not answer is a failure, and the clock is as it was', () => {
  assertCase('no-answer', 1, 0, /^fixclock: could not set the clock .*no eligible servers/);
});

test('beside a chronyd that is not in sync, the clock is set', () => {
  assertCase('chronyd-unsynced', 0, HOUR, /, with ntpdate$/);
});

test('chronyd sets it too, alone or beside a chronyd that is not in sync and goes on', () => {
  assertCase('with-chronyd-beside-chronyd', 0, HOUR, /, with chronyd$/);
  assert.doesNotMatch(said, /the chronyd beside it is gone/);
  assertCase('with-chronyd', 0, HOUR, /, with chronyd$/);
});

test('a clock that chronyd keeps in sync is left', () => {
  assertCase('chronyd-in-sync', 0, 0, /^$/);
});

test('ntpdig sets it too', () => assertCase('with-ntpdig', 0, HOUR, /, with ntpdig$/));

test('root without the permission gets the explanation', () => {
  assertCase('not-permitted', 1, 0, /^fixclock: could not set the clock .*not permitted to set the clock/);
});
