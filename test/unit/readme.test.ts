// README: readable in a terminal, and of files that are there.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { installationLines } from '../support/readme.ts';
import { repository } from '../support/repository.ts';

const lines = readFileSync(join(repository, 'README.md'), 'utf8').split('\n');

test('no line of README is wider than 120 columns', () => {
  assert.deepEqual(
    lines.filter(line => line.length > 120),
    [],
  );
});

test('README installs the package with three lines', () => {
  const lines = installationLines();
  assert.equal(lines.length, 3, lines.join('\n'));
});

test('every file of this repository that README names is there', () => {
  const named = [...lines.join('\n').matchAll(/(?:src|build|packaging|hooks\.d|test)\/[\w./-]*/g)].map(
    ([path]) => path,
  );
  assert.ok(named.length > 10);
  // Below /etc/tklbam and /usr/share/doc there are others.
  const missing = named.filter(path => !existsSync(join(repository, path)) && !path.startsWith('hooks.d/'));
  assert.deepEqual(missing, []);
});
