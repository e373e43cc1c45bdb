// Arguments and variables that are not UTF-8.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { hooksDirectory, place, plainEnvironment, programs, scratch } from '../support/harness.ts';

for (const program of programs) {
  test(`${program.name}: wrap passes names in Latin-1 on to COMMAND, and hooks get such values`, t => {
    const directory = scratch(t);
    const hooks = hooksDirectory(t);
    place(hooks, 'a', `#!/bin/sh\nenv -0 >"${directory}/hook.$2"\n`);
    mkdirSync(join(directory, 'files'));
    for (const name of ['caf\xe9', 'plain', '-v', '\xff\xfe\x81\n'])
      writeFileSync(Buffer.from(join(directory, 'files', name), 'latin1'), name);
    const script = `cd "$1" && shift && export LATIN="$(printf 'caf\\351=\\377')" && exec "$@" wrap backup -- tar cf ../archive -- *`;
    const { status, stderr } = spawnSync(
      'sh',
      ['-c', script, 'sh', join(directory, 'files'), ...program.command],
      {
        encoding: 'utf8',
        env: {
          ...plainEnvironment,
          LC_ALL: 'C',
          TKLBAM_HOOKS: hooks,
          TKLBAM_HOOKS_STATE: join(directory, 'state'),
          TKLBAM_HOOKS_LOG: join(directory, 'log'),
        },
      },
    );
    assert.deepEqual([status, stderr], [0, '']);
    const archive = readFileSync(join(directory, 'archive'), 'latin1');
    for (const name of ['caf\xe9', 'plain', '-v', '\xff\xfe\x81\n'])
      assert.ok(archive.includes(`${name}\0`), name);
    for (const state of ['pre', 'post']) {
      const env = readFileSync(join(directory, `hook.${state}`), 'latin1').split('\0');
      assert.ok(env.includes('LATIN=caf\xe9=\xff'), env.join('\n'));
      assert.ok(env.includes(`TKLBAM_HOOK_STATE=${state}`));
      assert.ok(!env.some(entry => entry.startsWith('PERL')));
    }
  });

  test(`${program.name}: wrap in a directory whose name is not UTF-8 runs hooks and COMMAND there`, t => {
    const directory = scratch(t);
    const hooks = hooksDirectory(t);
    place(hooks, 'a', `#!/bin/sh\npwd >>"${directory}/seen"\n`);
    const odd = Buffer.from(join(directory, 'caf\xe9'), 'latin1');
    mkdirSync(odd);
    const script = 'cd "$1"/caf* && shift && exec "$@" wrap backup -- sh -c "pwd >>../seen"';
    const env = {
      ...plainEnvironment,
      TKLBAM_HOOKS: hooks,
      TKLBAM_HOOKS_STATE: join(directory, 'state'),
      TKLBAM_HOOKS_LOG: join(directory, 'log'),
    };
    const ran = spawnSync('sh', ['-c', script, 'sh', directory, ...program.command], {
      encoding: 'utf8',
      env,
    });
    assert.deepEqual([ran.status, ran.stdout, ran.stderr], [0, '', '']);
    const line = `${odd.toString('latin1')}\n`;
    assert.equal(readFileSync(join(directory, 'seen'), 'latin1'), line.repeat(3));
  });

  test(`${program.name}: the name of COMMAND itself has to be UTF-8`, () => {
    const script = 'exec "$@" wrap backup -- "$(printf \'caf\\351\')"';
    const ran = spawnSync('sh', ['-c', script, 'sh', ...program.command], {
      encoding: 'utf8',
      env: plainEnvironment,
    });
    const text = "tklbam-hooks: the name of COMMAND is not valid UTF-8\nTry 'tklbam-hooks help wrap'.\n";
    assert.deepEqual([ran.status, ran.stderr], [2, text]);
  });
}
