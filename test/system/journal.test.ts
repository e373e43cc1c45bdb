// What the journal of systemd has of sessions: words for people, and fields to ask for.
import assert from 'node:assert/strict';
import { copyFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { executable } from '../support/built.ts';
import { inRootDirectory, openChroot, SOURCE } from '../support/chroot.ts';
import { inContainer } from '../support/container.ts';
import { readmeBlock } from '../support/readme.ts';
import { assertSaid, textsOf } from '../support/transcript.ts';

let transcript: readonly string[] = [];

before(async () => {
  transcript = await inContainer('bookworm', ['systemd-sysv'], { journal: 'test/vm/journal' }, ['journal']);
});

const failed = "backup post: 'dump' failed (exit status 3) after N s";
const session =
  "backup 'nightly': FAILED, took N s: `/etc/tklbam/hooks.d/dump backup post` non-zero exitcode (3)";
const textsIn = (lines: readonly string[], name: string): string[] =>
  textsOf(lines, name).map(text => text.replace(/(after|took) [\d.]+ s/g, '$1 N s'));
const texts = (name: string): string[] => textsIn(transcript, name);

test('what failed is found by a field, and said in words', () => {
  assert.deepEqual(texts('query'), [failed, session], transcript.join('\n'));
  assert.deepEqual(texts('good'), ["backup 'nightly': good, took N s"], transcript.join('\n'));
  assert.deepEqual(texts('errors'), [failed, session], transcript.join('\n'));
});

test('a hook has all its fields', () => {
  const fields = texts('fields').map(text => text.trim());
  for (const field of ['TKLBAM_OPERATION=backup', 'TKLBAM_STATUS=3', 'PRIORITY=3', 'TKLBAM_OUTCOME=failed'])
    assert.ok(fields.includes(field), transcript.join('\n'));
  assert.match(fields.join('\n'), /^TKLBAM_SESSION=\w+-\d+$/m);
  assert.match(fields.join('\n'), /^TKLBAM_SECONDS=[\d.]+$/m);
});

test('hooks and sessions each have a MESSAGE_ID, and what hooks say is for root alone', () => {
  assertSaid(transcript, { ids: ['2'], secret: ['0'] });
});

test('where the journals of two machines are collected, the same query has what failed, and on which', t => {
  const { root, run } = openChroot(t, 'bookworm', ['systemd-sysv', 'systemd-journal-remote', 'iproute2']);
  copyFileSync(executable(), join(root, 'usr/bin/tklbam-hooks'));
  writeFileSync(join(root, 'query'), readmeBlock('journalctl --merge'));
  const { stdout, stderr } = run(inRootDirectory(root, `exec bash ${SOURCE}/test/vm/journal-collector`));
  const lines = stdout.split('\n');
  const of = (name: string): string[] =>
    textsIn(lines, name).map(text => text.replace(/^\w+ \d+ [\d:]+ (\w+) tklbam-hooks\[\d+\]:/, '$1:'));
  for (const name of ['directory', 'readme'])
    assert.deepEqual(of(name), [`ann: ${failed}`, `ann: ${session}`], stdout + stderr);
  assert.deepEqual(of('good'), ["bob: backup 'nightly': good, took N s"], stdout + stderr);
});
