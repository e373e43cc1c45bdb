// What the operation sees in place of the live files: by `wrap` and by packaging/hooks.py, on loop devices, in each Debian as a root directory.
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { inRootDirectory, openChroot, SOURCE } from '../support/chroot.ts';
import { place } from '../support/harness.ts';
import { manualBlocks } from '../support/manual.ts';
import { RELEASES } from '../support/releases.ts';
import { assertSaid } from '../support/transcript.ts';

/** Mounts of the snapshot in any process's eyes, and files of sessions. */
const nothing = ['0 0'];
const pre = 'a pre: live';
const error = 'a error: live';

const example =
  manualBlocks('tklbam-hooks.5').find(block => block.startsWith('#!/bin/sh\n# frozen-home')) ?? '';

// Each has another mount(8), which mounts by other system calls.
for (const suite of RELEASES) {
  test(suite, async t => {
    const { root, run } = openChroot(t, suite, ['btrfs-progs', 'e2fsprogs', 'procps', 'python3']);
    const SCRATCH = '/scratch';
    mkdirSync(join(root, SCRATCH), { mode: 0o755 });
    place(join(root, SCRATCH), 'example', example.replaceAll('/home', `${SCRATCH}/home`));
    const script = `exec ${SOURCE}/test/vm/view ${SOURCE}/dist/tklbam-hooks ${SCRATCH} ${SOURCE}`;
    const { stdout, stderr } = run(inRootDirectory(root, script));
    await shows(
      t,
      `${stdout}${stderr}`
        .replaceAll(SCRATCH, 'S')
        .replaceAll(/pid \d+/g, 'pid N')
        // As it was called, or as coreutils 9 has it.
        .replaceAll('/usr/bin/env: ', 'env: ')
        .split('\n'),
    );
  });
}

/** What was said, with the scratch directory as S. */
async function shows(t: TestContext, transcript: readonly string[]): Promise<void> {
  const says = (expected: Readonly<Record<string, readonly string[]>>): void =>
    assertSaid(transcript, expected);

  await t.test(
    'wrap: the command sees what was frozen, and through it what is mounted below and what is live',
    () => {
      says({
        seen: [
          ...[pre, 'b pre: live', 'frozen', 'frozen', 'live', 'live'],
          // As the snapshot has them: `new` was made since, and so is not seen, though something is mounted there.
          ...['a b', 'disk', 'file', 'live', 'lost+found'],
          "touch: cannot touch 'S/volume/x': Read-only file system",
          // Descriptors: the standard ones, and that of ls.
          ...['4', 'b post: live', 'a post: live', '0'],
        ],
        'seen-left': nothing,
        written: ['b', 'file', 'x'],
      });
    },
  );

  await t.test('the current directory is that of the snapshot', () => {
    says({ directory: [pre, 'b pre: live', 'S/volume/a b', 'frozen', 'b post: live', 'a post: live', '0'] });
  });

  await t.test(
    'a command that fails keeps its status, and a directory that is not in the snapshot is told',
    () => {
      const failed = (status: number): string => `tklbam-hooks: 'sh' exited with status ${status}`;
      says({
        failed: [pre, 'b pre: live', 'frozen', failed(7), 'b error: live', error, '7'],
        'failed-left': nothing,
        gone: [
          ...[
            pre,
            'b pre: live',
            "env: cannot change directory to 'S/volume/new': No such file or directory",
          ],
          ...["tklbam-hooks: 'sh' exited with status 125", 'b error: live', error, '125'],
        ],
      });
    },
  );

  await t.test('what the command leaves there is ended before post, in a copy of the namespace too', () => {
    says({
      daemons: [
        ...[pre, 'b pre: live', "tklbam-hooks: ended what the backup had left in its view: 'sleep', 'sleep'"],
        ...['b post: live', 'a post: live', '0'],
      ],
      'daemons-left': ['ended', 'ended'],
      'daemons-mounts': nothing,
    });
  });

  await t.test('the root directory, with what is mounted below it and what is live', () => {
    says({
      root: [pre, '/', '1', 'marked', 'read-only', 'live', '0', 'a post: live', '0'],
      'root-left': nothing,
    });
  });

  await t.test('what cannot be shown is told with its line and the remedy, and nothing is left', () => {
    const line = (number: number, text: string): string[] => [
      ...[pre, `HookError: the view that hook 'a' asks for, line ${number}: ${text}`, error, '1'],
    ];
    says({
      'no-device': line(
        1,
        "'S/volume' cannot be shown: special device /dev/nothing does not exist (try 'mount -t ext4 -o ro /dev/nothing /mnt')",
      ),
      'no-place': line(1, "'S/nowhere': there is no such directory (name one that is there)"),
      link: line(1, "'S/link' leads to 'S/real' (name what realpath(1) says)"),
      file: line(1, "'S/copy' is no directory (name one)"),
      'no-live': line(2, "'S/volume/late': there is no such directory (name one that is there)"),
      late: line(2, "'S/volume/late' is not in the snapshot (make it before the snapshot is taken)"),
      nonsense: line(
        2,
        "it begins with 'freeze' (it is 'snapshot FSTYPE SOURCE TARGET OPTIONS' or 'live PATH', blanks escaped as in fstab(5))",
      ),
      same: line(1, "'S/volume' is what is mounted at 'S/volume' anyway (name a snapshot of it)"),
      ran: ['none'],
      'wrong-left': nothing,
    });
    const [said = ''] = transcript.filter(each => each.startsWith('no-type\tHookError'));
    assert.match(
      said,
      /line 1: 'S\/volume' cannot be shown: wrong fs type, .*\(try 'mount -t btrfs -o ro \/dev\/loop/,
    );
  });

  await t.test('without CAP_SYS_ADMIN, pre and check say so', () => {
    const why =
      'CAP_SYS_ADMIN is missing, without which nothing can be mounted for the operation alone (run it as root; of a container, on its host, or give it that capability)';
    says({
      forbidden: [pre, `HookError: the view that hook 'a' asks for cannot be made: ${why}`, error, '1'],
      'forbidden-check': [`'S/hooks.d/snapshot': ${why}`, '0'],
      'forbidden-pre': [`snapshot: ${why.replace(' (', '; nothing was stopped (')}`],
      'user-namespace': [
        "'S/hooks.d/snapshot': no disk can be mounted in a user namespace, such as that of an unprivileged container (back up on the host of the container)",
      ],
    });
  });

  await t.test('whoever is killed, no mount stays', () => {
    says({
      'kill-wrap': ['0 3'],
      'kill-wrap-left': nothing,
      'kill-term': [`143 ${error}`],
      'kill-term-left': nothing,
      'kill-tklbam': nothing,
      // tklbam lives there, and goes on until somebody tells error.
      'kill-guardian': ['1 3'],
      'kill-guardian-status': ['143'],
      'kill-guardian-left': nothing,
    });
    for (const name of ['kill-wrap-recover', 'kill-guardian-recover']) {
      const [cut = '', ...rest] = transcript.filter(each => each.startsWith(`${name}\t`));
      assert.match(cut, /was cut off when its guardian \(pid N\) was killed/);
      assert.deepEqual(rest, [`${name}\t${error}`, `${name}\t0`]);
    }
  });

  await t.test('hooks.py: tklbam is in it from pre to post, and keeps its directory', () => {
    const inIt = ['before: live', pre, 'in it: frozen', 'a b frozen'];
    const out = ['a post: live', 'after: live', 'a b live'];
    says({
      'tklbam-whole': [...inIt, 'a inspect: live', ...out],
      'tklbam-whole-left': nothing,
      'tklbam-daemon': [
        ...[
          ...inIt,
          'a inspect: live',
          "tklbam-hooks: ended what the backup had left in its view: 'sleep'",
          ...out,
        ],
      ],
      'tklbam-daemon-left': nothing,
      'tklbam-raise-left': nothing,
      'tklbam-guardian-left': nothing,
      'tklbam-threads-left': nothing,
    });
    const said = (name: string): string => transcript.filter(each => each.startsWith(`${name}\t`)).join('\n');
    assert.match(said('tklbam-raise'), /failed: Exception: duplicity failed\n.*a error: live$/m);
    assert.match(
      said('tklbam-guardian'),
      /was killed \(last state: pre\): telling its hooks\n.*a error: live\n/,
    );
    assert.match(
      said('tklbam-threads'),
      /HookError: tklbam, in 'S\/volume\/a b', cannot see the snapshots: it has threads \(back up by 'tklbam-hooks wrap'\)$/m,
    );
    assert.match(
      said('tklbam-root'),
      /HookError: the view that hook 'a' asks for, line 1: '\/' cannot be shown to tklbam, .* \(leave '\/' out, or back up by 'tklbam-hooks wrap'\)$/m,
    );
  });

  await t.test('the example of the manual page', () => {
    says({
      example: ['frozen', '0'],
      'example-left': ['later', 'file'],
      'example-failed': ["tklbam-hooks: 'false' exited with status 1", '1'],
      'example-failed-left': ['later', 'file'],
      'example-run': ['HookError: `S/hooks.d/example backup pre` non-zero exitcode (1)', '1'],
    });
  });
}
