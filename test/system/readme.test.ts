// README's commands for developers.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { repository } from '../support/repository.ts';

const [build = '', tests = ''] = readFileSync(join(repository, 'README.md'), 'utf8')
  .split('\n')
  .filter(line => line.startsWith('    build/setup'))
  .map(line => line.trim());

test('README builds with one command, and tests with another', () => {
  assert.equal(build, 'build/setup && npm ci && npm run build && npm run demo');
  assert.equal(tests, 'build/setup test && npm ci && npm test');
});

test('the demo runs the hooks of a whole backup', () => {
  const said = execFileSync(join(repository, 'build/demo'), { encoding: 'utf8', stdio: 'pipe' });
  assert.match(said, /^backup: good, /m);
});
