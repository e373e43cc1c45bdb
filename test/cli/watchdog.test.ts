// The shell that holds a time limit when the runner was killed, by what it is told and what it then does.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { SCRIPT } from '../../src/run/watchdog.ts';
import { hooksDirectory, place, programs, scratch, start, until } from '../support/harness.ts';
import { watchdogsOf } from '../support/watchdogs.ts';

/** What it prints: `ended` where it has the hook ended, and what the program is told. */
function told(lines: string): string {
  const args = ['-c', SCRIPT, 'ended', '/bin/sleep', 'sh', '-c', 'echo "$0"; cat'];
  const { status, stdout } = spawnSync('/bin/sh', args, { input: lines, encoding: 'utf8' });
  assert.equal(status, 0);
  return stdout;
}

const now = (): number => Math.floor(Number.parseFloat(readFileSync('/proc/uptime', 'latin1')));
const FAR = 1000;

test('nothing to end: no hook, or one that has ended', () => {
  assert.equal(told(''), '');
  assert.equal(told(`${now() + FAR} 1 2 {}\n\n`), '');
});

test('a hook that is past its limit is ended, and the program is told what it needs for that', () => {
  const start = readFileSync('/proc/self/stat', 'latin1').split(') ')[1]?.split(' ')[19];
  assert.equal(told(`${now() - 1} ${process.pid} ${start} {"a b":" c "}\n`), 'ended\n{"a b":" c "}\n');
});

test('a hook whose first process is gone, or whose pid another has, is not waited for', () => {
  assert.equal(told(`${now() + FAR} 4194303 5 {}\n`), '');
  assert.equal(told(`${now() + FAR} ${process.pid} 5 {}\n`), '');
});

// The executable has whatever it was called as in argv, and no path of its own.
for (const { name, command } of programs) {
  test(`${name}: a hook is ended at its limit though its runner was killed, by whatever name it was called`, async t => {
    const directory = hooksDirectory(t);
    place(directory, 'a', '#!/bin/sh\n# tklbam-hooks: timeout=2s\necho started\nexec sleep 1000\n');
    const links = scratch(t);
    const [file, ...rest] = command;
    symlinkSync(file, join(links, 'hooks-by-path'));
    const words = ['hooks-by-path', ...rest, 'run', 'backup', 'pre', '--hooks', directory] as const;
    const { child, left, says } = start(t, ['/usr/bin/env', ...words], { PATH: `${links}:/usr/bin:/bin` });
    await says('started');
    await until('there is a watchdog', () => watchdogsOf(child.pid).length > 0);
    child.kill('SIGKILL');
    await until('nothing of the hook is left', () => left().length === 0);
  });
}
