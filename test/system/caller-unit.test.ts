// A backup that is called from a unit, under systemd and with version 2 of cgroups(7), in a container: `systemctl stop` of that unit, what
// systemd does to it meanwhile, and programs that move processes elsewhere.
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { executable } from '../support/built.ts';
import { cacheDirectory, isRoot } from '../support/harness.ts';
import { repository } from '../support/repository.ts';
import { assertSaid } from '../support/transcript.ts';

const packages = ['systemd-sysv', 'dbus', 'libpam-systemd', 'cron', 'procps', 'python3-minimal'];
let directory: string;
let transcript: readonly string[] = [];

before(() => {
  if (!isRoot) throw new Error('only root can boot a container');
  mkdirSync(cacheDirectory, { recursive: true, mode: 0o755 });
  directory = mkdtempSync(join(cacheDirectory, 'caller-unit-'));
  const command = (...words: readonly string[]): string => {
    const [file = '', ...args] = words;
    const { status, stdout } = spawnSync(file, args, {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    if (status !== 0) throw new Error(`${words.join(' ')} ended with ${status}: ${stdout}`);
    return stdout;
  };
  const tree = command(join(repository, 'test/vm/tree'), 'bookworm', ...packages).trim();
  const [root, work] = [join(directory, 'root'), join(directory, 'work')];
  for (const each of [root, work]) mkdirSync(each, { mode: 0o755 });
  command('tar', '-C', root, '-xf', tree);
  copyFileSync(executable(), join(work, 'tklbam-hooks'));
  for (const file of ['vm/caller-unit', 'attacks/fork-chain'])
    copyFileSync(join(repository, 'test', file), join(work, file.slice(file.indexOf('/') + 1)));
  transcript = command(join(repository, 'test/vm/container'), root, work, 'bash', 'caller-unit').split('\n');
});
after(() => {
  if (directory !== undefined) rmSync(directory, { recursive: true, force: true });
});

const says = (expected: Readonly<Record<string, readonly string[]>>): void =>
  assertSaid(transcript, expected);

test('systemctl stop of the unit, in pre or while COMMAND runs: the service runs again', () => {
  says({
    'in-pre': ['active pre error ()'],
    'in-command': ['active pre error ()'],
    'in-command-mixed': ['active pre error ()'],
  });
});

test('... in post: error follows', () => says({ 'in-post': ['active pre post error ()'] }));

test('... in error, whose hook it ends too: that one is told again at once', () => {
  says({ 'in-error': ['active pre error error ()'] });
});

test('what its time limit cuts off stays owed, and is paid by a recovery', () => {
  says({ 'in-error-mixed': ['inactive pre error (backup.json)', 'active pre error error ()'] });
});

test('a hook stays in its cgroup when systemd reloads, and all of it ends at its limit', () => {
  says({ reloaded: ['reloaded.service/tklbam-hooks-', 'in the same cgroup', 'has ended '] });
});

test('... in a scope', () =>
  says({ scoped: ['scoped.scope/tklbam-hooks-'], 'scoped.scope': ['has ended '] }));

test('... where the unit that it is in was stopped, and left its processes', () => {
  says({ stopped: ['stopped.service/tklbam-hooks-', 'goes on', 'has ended'] });
});

test('what su(1) put into a session of the user’s ends at the limit too', () => {
  says({ su: ['session-c', 'has ended'] });
});

test('a user gets no process into the cgroup of a hook, or out of it', () => says({ guest: [''] }));
