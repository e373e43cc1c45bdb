// The hook 00-notify, with real servers that answer, are slow, or are not there.
import assert from 'node:assert/strict';
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { executable } from '../support/built.ts';
import { openChroot, SOURCE } from '../support/chroot.ts';
import { assertSaid, textsOf } from '../support/transcript.ts';

test('somebody is told', async t => {
  const packages = ['exim4-daemon-light', 'curl', 'apprise', 'python3', 'procps', 'iproute2'];
  const { root, run } = openChroot(t, 'bookworm', packages);
  copyFileSync(executable(), join(root, 'usr/bin/tklbam-hooks'));
  const { stdout, stderr } = run(['unshare', '--uts', 'bash', `${SOURCE}/test/vm/notify`]);
  const transcript = [...stdout.split('\n'), ...stderr.split('\n')];
  const says = (expected: Readonly<Record<string, readonly string[]>>): void =>
    assertSaid(transcript, expected);
  const failure =
    "The backup 'nightly' of box failed:\\n'false' exited with status 1\\n\\n'tklbam-hooks status' there says more.\\n";

  await t.test('a service that waits for backups: of the start and of success; the others not', () =>
    says({
      check: [],
      good: ['0'],
      'good-heard': ["/ping/s3cret/start?x=1 ''", "/ping/s3cret?x=1 ''"],
    }),
  );
  await t.test('of a failure: all of them, and why', () => {
    says({ bad: ['1', "tklbam-hooks: 'false' exited with status 1"] });
    const heard = textsOf(transcript, 'bad-heard');
    assert.deepEqual(
      heard.filter(line => line.startsWith('/ping')),
      ["/ping/s3cret/start?x=1 ''", `/ping/s3cret/fail?x=1 "${failure}"`],
      stdout + stderr,
    );
    assert.match(
      heard.join('\n'),
      /^\/apprise .*box: the backup .*nightly.* FAILED.*exited with status 1/m,
      stdout + stderr,
    );
    says({
      'bad-mail': [
        "Subject: box: the backup 'nightly' FAILED",
        'Auto-Submitted: auto-generated',
        '',
        "The backup 'nightly' of box failed:",
        "'false' exited with status 1",
        '',
        "'tklbam-hooks status' there says more.",
        '',
      ],
    });
  });
  await t.test('of success too, where that is asked for; and of an attempt that was turned away', () => {
    const [bad, good] = [
      "Subject: box: the backup 'nightly' FAILED",
      "Subject: box: the backup 'nightly' was good",
    ];
    says({ both: ['0'], 'both-mail': [bad, good], 'away-mail': [bad, good, bad] });
  });
  await t.test('of a warning in a good one, where that is asked for, and of no other good one', () => {
    const warning = "'sh' exited with status 4, a warning (--warn-status)";
    says({
      unwarned: ['0'],
      warned: ['0', `tklbam-hooks: ${warning}`],
      'warned-mail': [
        "Subject: box: the backup 'nightly' was good, with a warning",
        "The backup 'nightly' of box was good, with a warning:",
        warning,
      ],
    });
    const heard = textsOf(transcript, 'warned-heard');
    assert.equal(heard.length, 1, stdout + stderr);
    assert.match(heard.join(), /was good, with a warning.*"type": "warning"/, stdout + stderr);
  });
  const refused = /Failed to connect to 127\.0\.0\.1 port 8001/;
  await t.test('a server that is not there is tried on, and the backup does not wait', () => {
    const [status, start, end, ...rest] = textsOf(transcript, 'dead');
    assert.deepEqual([status, rest], ['0', []], stdout + stderr);
    assert.match(start ?? '', refused);
    assert.match(start ?? '', /^00-notify: http:\/\/127\.0\.0\.1:8001 does not hear of the start: /);
    assert.match(
      end ?? '',
      /^00-notify: http:\/\/127\.0\.0\.1:8001 does not hear of it yet: .*; it is tried for a quarter of an hour$/,
    );
    says({ 'dead-heard': ["/ping/s3cret ''"] });
  });
  await t.test('nor does it wait for a slow one; what is secret in a URL is nowhere to be seen', () => {
    const [status, ...lines] = textsOf(transcript, 'slow');
    assert.equal(status, '0', stdout + stderr);
    assert.equal(lines.length, 2, stdout + stderr);
    says({ arguments: ['0'], secret: [''], left: ['0'] });
  });
  await t.test('check says what is wrong, and not what is secret', () => {
    const path = "'/hooks/00-notify'";
    const at = "'/hooks/00-notify.conf' line";
    says({
      wrong: [
        `${path}: ${at} 1: NOTIFY has at place 3 neither a mail address, nor http:// or https://, nor apprise:/FILE (correct it)`,
      ],
      'wrong-on': [
        `${path}: ${at} 2: ON has 'always', and can only have failure, warning and success (correct it)`,
      ],
      missing: [`${path}: '/none' is not there (correct NOTIFY)`],
      simulated: ['0', '00-notify: would tell of the end of the backup'],
    });
  });
});
