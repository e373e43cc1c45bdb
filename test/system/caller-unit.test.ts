// A backup that is called from a unit, under systemd and with version 2 of cgroups(7), in a container: `systemctl stop` of that unit, what
// systemd does to it meanwhile, and programs that move processes elsewhere.
import { before, test } from 'node:test';
import { inContainer } from '../support/container.ts';
import { assertSaid } from '../support/transcript.ts';

const packages = ['systemd-sysv', 'dbus', 'libpam-systemd', 'cron', 'procps', 'python3-minimal'];
let transcript: readonly string[] = [];

before(async () => {
  const files = { 'caller-unit': 'test/vm/caller-unit', 'fork-chain': 'test/attacks/fork-chain' };
  transcript = await inContainer('bookworm', packages, files, ['caller-unit']);
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
