import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { repository } from '../support/repository.ts';

const scripts = ['.ci', 'build', 'hooks.d', 'packaging', 'test']
  .flatMap(directory => readdirSync(join(repository, directory), { recursive: true, withFileTypes: true }))
  .filter(entry => entry.isFile())
  .map(entry => join(entry.parentPath, entry.name))
  .filter(file =>
    /^#!\/bin\/(?:ba)?sh|^# shellcheck shell=/m.test(readFileSync(file, 'utf8').slice(0, 1000)),
  );

test('there are shell scripts', () => assert.ok(scripts.length > 10));

for (const script of scripts) {
  test(`shellcheck ${script.slice(repository.length + 1)}`, () => {
    // A hook without #!, and the completion, say in a comment what shell they are for.
    const { status, stdout } = spawnSync('shellcheck', ['--external-sources', script], { encoding: 'utf8' });
    assert.equal(status, 0, stdout);
  });
}
