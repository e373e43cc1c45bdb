// Backups by restic, borg, tar, rsync and the stand-in for tklbam (test/tklbam), of two files that are written to meanwhile: live they are
// of different moments, and by the hook `snapshot` of one.
import assert from 'node:assert/strict';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { executable } from '../support/built.ts';
import { inRootDirectory, openChroot, SOURCE } from '../support/chroot.ts';
import { repository } from '../support/repository.ts';
import { textsOf } from '../support/transcript.ts';

/** A btrfs snapshot is what a power cut leaves: numbers since the last fsync(2), of which there is one for so many (test/vm/snapshot-tools). */
const STEP = 20;

test('two files that a writer numbers in turn', async t => {
  const { root, run } = openChroot(t, 'bookworm', [
    'restic',
    'borgbackup',
    'rsync',
    'btrfs-progs',
    'python3',
    'postgresql',
    'procps',
  ]);
  copyFileSync(executable(), join(root, 'usr/bin/tklbam-hooks'));
  // A chroot is no place for a view, and says so; a root directory is.
  const chrooted = run([
    'sh',
    '-ec',
    `echo VOLUMES=/srv >/conf
    TKLBAM_HOOK_VIEW=/view tklbam-hooks library snapshot backup pre --settings /conf`,
  ]);
  assert.match(
    chrooted.stderr,
    /conf: this is a chroot, .*; nothing was stopped \(back up from outside of it, .*\)/,
  );
  const readme = readFileSync(join(repository, 'README.md'), 'utf8');
  const [block = ''] = /^ {4}echo 'VOLUMES=.*\n(?: {4}.*\n)+/m.exec(readme) ?? [];
  writeFileSync(join(root, 'readme'), block);
  const { stdout, stderr } = run(
    inRootDirectory(root, `exec bash ${SOURCE}/test/vm/snapshot-tools ${SOURCE} /readme`),
  );
  const transcript = stdout.split('\n');
  const said = (name: string): string[] => textsOf(transcript, name);
  const apart = (name: string): number => {
    const [text] = said(name);
    assert.match(`${text}`, /^\d+$/, `${name}\n${stdout}${stderr}`);
    return Number(text);
  };
  // The others may be lucky: restic reads files side by side, borg in the order of their inodes, rsync quickly.
  await t.test('tar: live, the two are of different moments', () =>
    assert.ok(apart('tar-live') > STEP, stdout),
  );
  for (const tool of ['tar', 'rsync', 'restic', 'borg', 'tklbam']) {
    await t.test(`${tool}: by the hook, they are of one`, () => {
      assert.deepEqual(said(`${tool}-status`), ['0'], stdout + stderr);
      assert.ok(apart(`${tool}-frozen`) <= STEP, `${apart(`${tool}-frozen`)} apart\n${stdout}`);
    });
  }
  await t.test('what has not changed since the last backup is not read again', () => {
    assert.deepEqual(said('restic-again'), ['"files_unmodified":1'], stdout + stderr);
    assert.deepEqual(said('borg-again'), ['U /srv/big'], stdout + stderr);
  });
  await t.test('no snapshot and no record is left', () => assert.deepEqual(said('left'), ['0 0']));
  await t.test('the lines of README back up a PostgreSQL that runs, as one that was shut down', () => {
    assert.deepEqual(said('readme-status'), ['0'], stdout + stderr);
    assert.deepEqual(
      said('readme'),
      [
        'snapshot: stopped postgresql for the snapshot',
        'snapshot: started postgresql again',
        'snapshot: took a snapshot of /var/lib/postgresql',
      ],
      stdout + stderr,
    );
    assert.deepEqual(said('readme-state'), ['shut down'], stdout + stderr);
    assert.deepEqual(said('readme-rows'), ['there'], stdout + stderr);
    assert.deepEqual(said('readme-service'), ['1']);
    assert.deepEqual(said('readme-left'), ['0']);
  });
});
