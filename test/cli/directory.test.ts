// Directories that hooks are run in, and that they are in.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import {
  ending,
  hooksDirectory,
  install,
  isRoot,
  place,
  plainEnvironment,
  programs,
  run,
  scratch,
} from '../support/harness.ts';

for (const program of programs) {
  const at = (title: string): string => `${program.name}: ${title}`;

  test(at('a current directory whose name is not UTF-8: hooks run in it'), t => {
    const directory = hooksDirectory(t);
    place(directory, 'x', '#!/bin/sh\npwd | od -An -c | tr -d " \\n"\n');
    const here = scratch(t);
    mkdirSync(Buffer.concat([Buffer.from(`${here}/`), Buffer.from([0xe9])]));
    const script = 'cd "$1"/* && shift && exec "$@"';
    for (const words of [
      ['run', 'backup', 'pre', '--hooks', directory],
      ['run', 'backup', 'pre', '--hooks', directory, '--cwd', '.'],
    ]) {
      const args = ['-c', script, 'sh', here, ...program.command, ...words];
      const ran = ending(spawnSync('sh', args, { encoding: 'utf8', env: plainEnvironment }));
      assert.deepEqual([ran[0], ran[1].endsWith('/351\\n'), ran[2]], [0, true, '']);
    }
  });

  for (const [what, spoil, reason, remedy] of [
    [
      'that its group can write to',
      (directory: string) => chmodSync(directory, 0o775),
      "'DIR' is writable by its group",
      "chmod go-w 'DIR'",
    ],
    ...(isRoot
      ? ([
          [
            'of a stranger',
            (directory: string) => chownSync(directory, 65534, 65534),
            "'DIR' belongs to user 65534",
            "chown root 'DIR'",
          ],
          [
            'below a directory of a stranger',
            (directory: string) => chownSync(dirname(directory), 65534, 65534),
            "'UP' belongs to user 65534",
            'use another directory',
          ],
        ] as const)
      : []),
  ] as const) {
    test(at(`a hooks directory ${what} is refused, though no hook in it is enabled`), t => {
      const directory = hooksDirectory(t);
      place(directory, 'off', '#!/bin/sh\n', 0o644);
      spoil(directory);
      const fill = (text: string): string =>
        text.replaceAll('DIR', directory).replaceAll('UP', dirname(directory));
      const advice = (rest: string): string => `${fill(reason)}${rest} (${fill(remedy)})`;
      const ran = ending(run(program, ['run', 'backup', 'pre', '--hooks', directory]));
      const error = `HookError: the hooks directory '${directory}' is refused: ${advice(', no hook was run')}\n`;
      assert.deepEqual(ran, [3, '', error]);
      const checked = ending(run(program, ['check', '--hooks', directory]));
      assert.deepEqual(checked, [1, `'${directory}': the hooks directory is refused: ${advice('')}\n`, '']);
      const listed = run(program, ['list', '--hooks', directory, '--json']).stdout;
      assert.equal(JSON.parse(listed).directories[0].refused, advice(''));
      assert.ok(run(program, ['list', '--hooks', directory]).stdout.startsWith(`${directory}: refused: `));
    });
  }

  test(at('a local entry hides the one of the profile, also when it is a mask'), t => {
    const profile = scratch(t);
    const theirs = join(profile, 'hooks.d');
    mkdirSync(theirs, { mode: 0o755 });
    install(theirs, 'print-args', 'x');
    const directory = hooksDirectory(t);
    place(directory, 'x', '', 0o644);
    const words = ['--hooks', directory, '--profile', profile];
    // Unsigned, it would be warned of.
    assert.deepEqual(ending(run(program, ['run', 'backup', 'pre', ...words])), [0, '', '']);
    const line = /^ {2}passed-over {2}x {2}is hidden by the local entry of the same name$/m;
    assert.match(run(program, ['list', ...words]).stdout, line);
  });

  if (isRoot && program.name === 'executable') {
    test(at('as a user in a directory that is closed to that user: the directory is named'), t => {
      const script = `
        mount -t tmpfs -o mode=755 none "$1" && cd "$1" && mkdir hooks.d && mkdir -m 700 closed && touch program || exit 99
        mount --bind "$2" program && printf '#!/bin/sh\\n' >hooks.d/x && chmod 755 hooks.d/x && cd closed || exit 98
        exec setpriv --reuid=65534 --regid=65534 --clear-groups "$1/program" run backup pre --hooks "$1/hooks.d"`;
      // Below no directory that is closed to others.
      const args = ['-m', 'sh', '-c', script, 'sh', '/mnt', ...program.command];
      const options = { encoding: 'utf8', env: plainEnvironment, cwd: scratch(t) } as const;
      assert.deepEqual(ending(spawnSync('unshare', args, options)), [
        1,
        '',
        'HookError: `/mnt/hooks.d/x backup pre` could not be started: the directory to run it in, ' +
          "'/mnt/closed', cannot be entered: permission denied (EACCES) (run it from another one)\n",
      ]);
    });
  }
}
