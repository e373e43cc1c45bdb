// The executable for arm64, made on another machine and run under emulation. What meets the kernel (processes, cgroups, signals to
// them) is the emulator's there, and tells nothing.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { version } from '../support/debs.ts';
import { place, scratch } from '../support/harness.ts';
import { repository } from '../support/repository.ts';

test('the executable for arm64 is made on this machine, with compiled code, and runs', t => {
  const { status, stderr } = spawnSync(process.execPath, ['build/package.ts', '--arch', 'arm64'], {
    cwd: repository,
    encoding: 'utf8',
  });
  // Without the emulator it would say that there is no compiled code in it.
  assert.deepEqual([status, stderr], [0, '']);
  const program = join(repository, 'dist/tklbam-hooks-arm64');
  const header = execFileSync('readelf', ['--file-header', program], { encoding: 'utf8' });
  assert.match(header, /Machine: +AArch64\n/);

  const run = (...args: string[]): string =>
    execFileSync('qemu-aarch64-static', ['-L', '/usr/aarch64-linux-gnu', program, ...args], {
      encoding: 'utf8',
    });
  assert.equal(run('--version'), `tklbam-hooks ${version}\n`);
  const hooks = scratch(t);
  place(hooks, 'off', '#!/bin/sh\n', 0o644);
  assert.match(run('list', '--hooks', hooks), / disabled +off /);
  assert.equal(run('run', 'backup', 'pre', '--hooks', hooks), '');
});
