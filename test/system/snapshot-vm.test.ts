// The hook `snapshot` on LVM, thick and thin, with ext4 and XFS: in a virtual machine under systemd, with the package and the stand-in for
// tklbam installed, through power cuts.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { cacheDirectory } from '../support/harness.ts';
import { repository } from '../support/repository.ts';
import { assertSaid, textsOf } from '../support/transcript.ts';
import { openVolumeMachine } from '../support/volume-faults.ts';

let directory: string;
let transcript: readonly string[] = [];
const says = (expected: Readonly<Record<string, readonly string[]>>): void =>
  assertSaid(transcript, expected);
const said = (name: string): string[] => textsOf(transcript, name);
/** No volume more than before, no mount, no note. */
const CLEAN = '0 0 0';

before(async () => {
  mkdirSync(cacheDirectory, { recursive: true, mode: 0o755 });
  directory = mkdtempSync(join(cacheDirectory, 'snapshot-vm-'));
  const machine = openVolumeMachine(directory);
  ({ transcript } = machine);
  const readme = readFileSync(join(repository, 'README.md'), 'utf8');
  const [block = ''] = /^ {4}echo 'VOLUMES=.*\n(?: {4}.*\n)+/m.exec(readme) ?? [];
  writeFileSync(join(machine.work, 'readme'), block);
  assert.ok(await machine.boot('bash', 'snapshot-lvm', 'first'));
  assert.ok(!(await machine.boot('bash', 'snapshot-lvm', 'second')));
});
after(() => {
  if (directory !== undefined) rmSync(directory, { recursive: true, force: true });
});

const KINDS = ['ext', 'xfs', 'thin-ext', 'thin-xfs'];
const PLACES = '/srv/ext, /srv/xfs, /srv/thin-ext, /srv/thin-xfs';

test('a backup sees each kind of volume at its path as it was at one moment and read-only, while the live one goes on', () => {
  says({
    wrap: [
      '0',
      `snapshot: took a snapshot of ${PLACES}`,
      ...KINDS.map(() => 'frozen\tfrozen read-only'),
      'during\t4',
    ],
    wrapped: [CLEAN],
    tklbam: ['0', 'snapshot: took a snapshot of /srv/ext, /srv/thin-xfs', 'working', 'done'],
    'tklbam-left': [CLEAN],
  });
});

test('two files that are numbered in turn are one write apart at most, by each tool; live they are not', () => {
  const apart = (name: string): number => {
    const [text] = said(name);
    assert.match(`${text}`, /^\d+$/, `${name}\n${transcript.join('\n')}`);
    return Number(text);
  };
  assert.ok(apart('live') > 1, transcript.join('\n'));
  for (const name of [
    ...['tar', 'rsync', 'restic'].flatMap(tool => KINDS.map(kind => `${tool}-${kind}`)),
    'tklbam-ext',
    'tklbam-thin-xfs',
  ])
    assert.ok(apart(name) <= 1, `${name}: ${apart(name)} apart\n${transcript.join('\n')}`);
});

const took = (place: string): string => `snapshot: took a snapshot of ${place}`;
const tooSmall =
  'snapshot: the snapshot of /srv/ext was too small for what changed meanwhile, so that what was read may be wrong';
const notGood = `${tooSmall}: this backup is not good (set a larger SIZE in snapshot.conf)`;
const EIO = 'Input/output error';

test('a snapshot that was too small fails the operation, whatever the backup tool makes of it', () => {
  const failed = '`/etc/tklbam/hooks.d/snapshot backup post` non-zero exitcode (1)';
  says({
    overflow: ['1', took('/srv/ext'), EIO, notGood, `HookError: ${failed}`],
    'overflow-left': [CLEAN],
    'overflow-error': ['0', notGood],
    'overflow-error-left': [CLEAN],
    'overflow-warn': ['0', `${tooSmall} (ON_OVERFLOW=warn; set a larger SIZE in snapshot.conf)`],
    'overflow-warn-left': [CLEAN],
  });
  const tklbam = said('overflow-tklbam');
  assert.deepEqual(tklbam.slice(0, 5), ['1', took('/srv/ext'), 'working', EIO, notGood]);
  assert.equal(tklbam.at(-1), `hooks.HookError: ${failed}`);
});

test('what cannot be done is told before a service is stopped', () => {
  const room =
    /^snapshot: the volume group vg has \d+ MiB free, and SIZE=5G needs 5120; nothing was stopped \(vgextend vg, or set a smaller SIZE\)$/;
  for (const [name, line] of Object.entries({
    'pool-full':
      /^snapshot: the thin pool vg\/full is full to 9\d\.\d+ %, and a snapshot would fill it further; nothing was stopped \(lvextend vg\/full, or remove what is in it\)$/,
    'no-room': room,
    'no-room-back': room,
    'no-volume':
      /^snapshot: \/home is on ext4 of \/dev\/vda, and neither LVM nor btrfs; nothing was stopped \(leave it to the hook 'services', .*\)$/,
    'root-back':
      /^snapshot: \/ cannot be put back while the system runs from it; nothing was stopped \(leave it out, or set ROLLBACK=no\)$/,
  })) {
    const [status, text = '', ...more] = said(name);
    assert.deepEqual([status, more], ['1', []], transcript.join('\n'));
    assert.match(text, line);
  }
  assert.match(
    said('check').join('\n'),
    /^1\n.*: the volume group vg has \d+ MiB free, and SIZE=5G needs 5120 /,
  );
  says({ 'refused-service': ['never stopped'], 'refused-left': [CLEAN] });
});

test('a restore that fails is put back, thick and thin, while the services that use it are stopped', () => {
  const both = '/srv/ext, /srv/thin-xfs';
  const start = [
    'snapshot: stopped holder.service for the snapshot',
    'snapshot: started holder.service again',
  ];
  const back = [
    'snapshot: stopped holder.service for the way back',
    'snapshot: put /srv/ext back to what it was before the restore',
    'snapshot: put /srv/thin-xfs back to what it was before the restore',
    'snapshot: started holder.service again',
  ];
  const good = ['good good active 2', '16777216 16777216', CLEAN];
  says({
    back: ['1', ...start, took(both), 'active', "tklbam-hooks: 'bash' exited with status 1", ...back],
    'back-end': good,
    'back-tklbam-end': good,
    'kept-pre': ['0', ...start, took(both)],
    kept: ['0'],
    'kept-end': ['restored good active 2', '16777216 16777216', CLEAN],
  });
  assert.deepEqual(said('back-tklbam').slice(-4), back);
});

test('what a kill of lvcreate or lvremove leaves goes, and a volume that it left suspended works on', () => {
  const killed = ['1', 'snapshot: could not take a snapshot of /srv/ext: lvcreate: killed by SIGKILL'];
  says({
    'killed-lvcreate-now': killed,
    'killed-lvcreate-now-error': ['0', 'alive'],
    'killed-lvcreate-now-left': [CLEAN],
    'killed-lvcreate-suspended': killed,
    'killed-lvcreate-suspended-error': ['0', 'alive'],
    'killed-lvcreate-suspended-left': [CLEAN],
    'killed-lvremove-suspended-error': ['0', 'alive'],
    'killed-lvremove-suspended-left': [CLEAN],
    'plain-error': ['0'],
    'plain-left': [CLEAN],
  });
  // At the moment of its death; else nothing was shown.
  assert.ok(said('struck-suspended').includes('1'), transcript.join('\n'));
});

test('of btrfs on LVM, the snapshot is one of btrfs', () => {
  says({ btrfs: ['0', took('/mnt/btrfs'), 'snapshot btrfs', 'btrfs 1'], 'btrfs-end': ['0'] });
});

test('`/` on LVM is frozen, too, and volumes of others stay', () => {
  says({ root: ['0', took('/'), 'live'], first: [CLEAN] });
});

test('after a power cut in the middle the snapshots go at boot, and the service runs', () => {
  assert.match(said('middle').join('\n'), /^2 [1-9]\d* [1-9]\d*$/);
  says({ booted: [CLEAN, 'active'] });
});

test('the lines of README back up a PostgreSQL that runs, as one that was shut down; so does tklbam', () => {
  const [status, ...lines] = said('readme');
  assert.deepEqual(
    [status, ...lines.filter(line => line.startsWith('snapshot: '))],
    [
      '0',
      'snapshot: stopped postgresql.service, postgresql@15-main.service for the snapshot',
      'snapshot: started postgresql.service, postgresql@15-main.service again',
      took('/var/lib/postgresql'),
    ],
    transcript.join('\n'),
  );
  says({
    'readme-copy': ['shut down', 'rows'],
    'pg-tklbam-copy': ['shut down', 'rows'],
    'readme-service': ['active'],
    second: [CLEAN],
  });
});
