// Paths that change while they are followed.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { resolvePath } from '../../src/system/resolve.ts';
import { findRefusal } from '../../src/system/trust.ts';
import { plainEnvironment, scratch } from '../support/harness.ts';

test('whoever swaps links for files on the way is refused, and nothing is thrown', async t => {
  const directory = scratch(t);
  const evil = join(directory, 'evil');
  mkdirSync(evil);
  chmodSync(evil, 0o777);
  const hook = join(directory, 'hook');
  symlinkSync(join(evil, '0/x'), hook);
  // Each a link for one moment, and a file or nothing for the next.
  const swap = `
import os, sys
os.chdir(sys.argv[1])
os.symlink('/', 'link')
open('file', 'w').close()
print('begun', flush=True)
while True:
    for name in ('link', 'file'):
        os.link(name, 'next', follow_symlinks=False)
        os.rename('next', '0')
        if os.path.lexists('next'):
            os.unlink('next')
    os.unlink('0')`;
  // It does not outlive a test that is killed.
  const attacker = spawn('setpriv', ['--pdeathsig', 'KILL', 'python3', '-c', swap, evil], {
    env: plainEnvironment,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const errors = new Set<string>();
  try {
    await once(attacker.stdout, 'data');
    for (let i = 0; i < 100_000 && errors.size < 3; i++) {
      const { ancestorDirs, file } = resolvePath(hook);
      assert.equal(findRefusal(undefined, ancestorDirs, process.geteuid?.() ?? 0)?.kind, 'writable');
      if ('error' in file) errors.add(file.error);
    }
  } finally {
    // Before its directory goes.
    attacker.kill('SIGKILL');
    await once(attacker, 'exit');
  }
  // EINVAL is readlink(2) of what is no link any more: it was met.
  assert.ok(errors.has('EINVAL'), [...errors].join(' '));
});
