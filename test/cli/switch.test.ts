// enable, disable and new; and ready hooks as far as they need no service.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ending, hooksDirectory, place, programs, run, scratch } from '../support/harness.ts';
import { repository } from '../support/repository.ts';

const SCRIPT = '#!/bin/sh\nexit 0\n';

/** A local directory, and a profile with its own. */
function directories(t: TestContext) {
  const local = hooksDirectory(t);
  const profile = scratch(t);
  mkdirSync(join(profile, 'hooks.d'), { mode: 0o755 });
  return { local, profile: join(profile, 'hooks.d'), options: ['--hooks', local, '--profile', profile] };
}
const mode = (path: string): string => (statSync(path).mode & 0o7777).toString(8);

for (const program of programs) {
  const at = (name: string) => `${program.name}: ${name}`;

  test(at('enable and disable set and clear the executable bits, and say when there is nothing to do'), t => {
    const { local, options } = directories(t);
    place(local, 'a', SCRIPT, 0o640);
    place(local, 'b', SCRIPT, 0o755);
    const hook = (name: string) => `'${local}/${name}'`;
    const on = run(program, ['enable', 'a', 'b', ...options]);
    assert.deepEqual(ending(on), [0, `${hook('a')} enabled\n${hook('b')} is enabled\n`, '']);
    assert.equal(mode(join(local, 'a')), '750');
    const off = run(program, ['disable', 'a', ...options]);
    assert.deepEqual(ending(off), [0, `${hook('a')} disabled\n`, '']);
    assert.equal(mode(join(local, 'a')), '640');
    assert.deepEqual(ending(run(program, ['disable', 'a', ...options])), [
      0,
      `${hook('a')} is disabled\n`,
      '',
    ]);
  });

  test(at('a hook of the profile is switched off by a mask, and on again without it'), t => {
    const { local, profile, options } = directories(t);
    place(profile, 'p', SCRIPT);
    const path = join(local, 'p');
    const off = run(program, ['disable', 'p', ...options]);
    assert.deepEqual(ending(off), [0, `'${path}' disabled, by a mask before the one of the profile\n`, '']);
    assert.equal(readlinkSync(path), '/dev/null');
    assert.deepEqual(ending(run(program, ['disable', 'p', ...options])), [0, `'${path}' is disabled\n`, '']);
    const on = run(program, ['enable', 'p', ...options]);
    assert.match(on.stdout, /enabled, its mask is gone\n/);
    assert.equal(existsSync(path), false);
    assert.equal(mode(join(profile, 'p')), '755');
  });

  const refused: [string, string, string, (local: string) => void][] = [
    ['enable', 'x', "there is no such hook (see 'tklbam-hooks list')", () => {}],
    ['disable', 'x', "there is no such hook (see 'tklbam-hooks list')", () => {}],
    [
      'enable',
      'dmup',
      "there is no such hook, did you mean 'dump'? (see 'tklbam-hooks list')",
      local => place(local, 'dump', SCRIPT, 0o644),
    ],
    [
      'enable',
      'x.conf',
      'no file of such a name is run (rename it)',
      local => place(local, 'x.conf', 'A=1\n', 0o644),
    ],
    [
      'enable',
      'x',
      'it is empty, so nothing would run (write it first)',
      local => place(local, 'x', '', 0o644),
    ],
    ['enable', 'x', "it is no file (see 'tklbam-hooks list')", local => mkdirSync(join(local, 'x'))],
    [
      'enable',
      'x',
      "it is a link to 'y', and the mode is that of the file there (cp --remove-destination 'y' over it to have one of its own)",
      local => {
        place(local, 'y', SCRIPT, 0o644);
        symlinkSync('y', join(local, 'x'));
      },
    ],
  ];
  for (const [command, name, why, make] of refused) {
    test(at(`${command} ${name}: ${why}`), t => {
      const { local, options } = directories(t);
      make(local);
      const said = `tklbam-hooks: '${local}/${name}': ${why}\n`;
      assert.deepEqual(ending(run(program, [command, name, ...options])), [1, '', said]);
    });
  }

  test(
    at('new writes a hook that is off, passes shellcheck, and does nothing in any state once it is on'),
    t => {
      const { local, options } = directories(t);
      const path = join(local, '50-shop');
      const made = run(program, ['new', '50-shop', '--hooks', local]);
      assert.deepEqual(ending(made), [
        0,
        `'${path}' written: edit it, then 'tklbam-hooks enable 50-shop'\n`,
        '',
      ]);
      assert.equal(mode(path), '644');
      assert.equal(spawnSync('shellcheck', [path], { encoding: 'utf8' }).stdout, '');
      const text = readFileSync(path, 'utf8');
      assert.deepEqual(ending(run(program, ['new', '50-shop', '--hooks', local])), [
        1,
        '',
        `tklbam-hooks: '${path}': it is there already, and is left as it is (choose another name)\n`,
      ]);
      assert.equal(readFileSync(path, 'utf8'), text);
      assert.deepEqual(ending(run(program, ['enable', '50-shop', ...options])), [
        0,
        `'${path}' enabled\n`,
        '',
      ]);
      for (const operation of ['backup', 'restore']) {
        for (const state of ['pre', 'inspect', 'post', 'error']) {
          assert.ok(text.includes(`'${operation} ${state}'`));
          assert.deepEqual(ending(run(program, ['run', operation, state, ...options])), [0, '', '']);
        }
      }
    },
  );

  test(at('new says why a hook of that name would never run, and that a directory is missing'), t => {
    const local = hooksDirectory(t);
    const bad = run(program, ['new', 'a.conf', '--hooks', local]);
    const why = 'no file of such a name is run (choose another name)';
    assert.deepEqual(ending(bad), [1, '', `tklbam-hooks: '${local}/a.conf': ${why}\n`]);
    const lost = run(program, ['new', 'a', '--hooks', '/nonexistent']);
    assert.equal(
      lost.stderr,
      "tklbam-hooks: '/nonexistent/a': there is no directory '/nonexistent' (make it first)\n",
    );
  });

  const strangers: [string, (local: string) => string, number, string][] = [
    ['the directory', local => local, 0o777, 'everybody'],
    ['one above it', dirname, 0o775, 'its group'],
  ];
  for (const [what, which, openMode, who] of strangers) {
    test(at(`where others can write to ${what}, enable, disable and new change nothing`), t => {
      const { local, options } = directories(t);
      place(local, 'a', SCRIPT, 0o644);
      place(local, 'b', SCRIPT, 0o755);
      const open = which(local);
      chmodSync(open, openMode);
      const why = `'${open}' is writable by ${who}, nothing is changed in '${local}'`;
      const said = `tklbam-hooks: ${why} (chmod go-w '${open}')\n`;
      assert.deepEqual(ending(run(program, ['enable', 'a', ...options])), [3, '', said]);
      assert.deepEqual(ending(run(program, ['disable', 'b', ...options])), [3, '', said]);
      assert.deepEqual(ending(run(program, ['new', 'c', '--hooks', local])), [3, '', said]);
      assert.deepEqual(
        ['a', 'b'].map(name => mode(join(local, name))),
        ['644', '755'],
      );
      assert.equal(existsSync(join(local, 'c')), false);
      chmodSync(open, 0o755);
    });
  }

  /** The hook `services` as it is installed, with these settings, and its own program in PATH. */
  const ready = (t: TestContext, settings: string | undefined, name = 'services') => {
    const { local, options } = directories(t);
    copyFileSync(join(repository, 'hooks.d/services'), join(local, name));
    chmodSync(join(local, name), 0o644);
    if (settings !== undefined) place(local, `${name}.conf`, settings, 0o644);
    const bin = scratch(t);
    place(
      bin,
      'tklbam-hooks',
      `#!/bin/sh\nexec ${program.command.map(word => `'${word}'`).join(' ')} "$@"\n`,
    );
    return { local, options, env: { PATH: `${bin}:/usr/bin:/bin` }, conf: join(local, `${name}.conf`) };
  };

  test(
    at('a ready hook that is enabled and has no settings does nothing, and check and enable say so'),
    t => {
      for (const settings of [undefined, readFileSync(join(repository, 'hooks.d/services.conf'), 'utf8')]) {
        const { local, options, env, conf } = ready(t, settings);
        const idle = `'${local}/services': it does nothing, since SERVICES is not set (set it in '${conf}')\n`;
        const on = run(program, ['enable', 'services', ...options]);
        assert.deepEqual(ending(on), [0, `'${local}/services' enabled\n${idle}`, '']);
        assert.deepEqual(ending(run(program, ['check', ...options])), [1, idle, '']);
        for (const state of ['pre', 'inspect', 'post', 'error']) {
          assert.deepEqual(ending(run(program, ['run', 'backup', state, ...options], { env })), [0, '', '']);
        }
      }
    },
  );

  test(at('a ready hook that has something to undo is not switched off'), t => {
    const { local, options } = ready(t, 'SERVICES=cron\n');
    run(program, ['enable', 'services', ...options]);
    const state = scratch(t);
    mkdirSync(join(state, 'library'));
    place(join(state, 'library'), 'services.json', '{}', 0o600);
    const off = run(program, ['disable', 'services', ...options], { env: { TKLBAM_HOOKS_STATE: state } });
    const why = 'it has still to undo something, and is left enabled';
    const remedy = "wait for the end of the backup, or see 'tklbam-hooks recover'";
    assert.deepEqual(ending(off), [1, '', `tklbam-hooks: 'services': ${why} (${remedy})\n`]);
    assert.equal(mode(join(local, 'services')), '755');
  });

  test(
    at('settings that are wrong stop pre, before anything is done, with file and line; check finds them'),
    t => {
      const { local, options, env, conf } = ready(t, 'SERVICES=cron\nSERVICE=web\n', '31-web');
      run(program, ['enable', '31-web', ...options]);
      const why = `'${conf}' line 2: unknown setting 'SERVICE' (it is one of SERVICES, QUIESCE)`;
      const pre = run(program, ['run', 'backup', 'pre', ...options], { env });
      assert.equal(pre.stderr.split('\n')[0], `31-web: ${why}`);
      assert.equal(pre.status, 1);
      const checked = run(program, ['check', ...options]);
      assert.deepEqual(ending(checked), [1, `'${local}/31-web': ${why}\n`, '']);
      assert.deepEqual(ending(run(program, ['run', 'backup', 'post', ...options], { env })), [0, '', '']);
    },
  );

  test(at('a link to a ready hook has settings of its own'), t => {
    const { local, options, env } = ready(t, 'SERVICES=cron\n');
    run(program, ['enable', 'services', ...options]);
    symlinkSync('services', join(local, 'services-web'));
    place(local, 'services-web.conf', 'QUIESCE=perhaps\n', 0o644);
    const checked = run(program, ['check', 'services-web', ...options], { env });
    const conf = join(local, 'services-web.conf');
    const why = `'${conf}' line 1: QUIESCE is 'perhaps', and can only be yes or no (correct it)`;
    assert.deepEqual(ending(checked), [1, `'${local}/services-web': ${why}\n`, '']);
    const pre = run(program, ['run', 'backup', 'pre', '--only', 'services-web', ...options], { env });
    assert.equal(pre.stderr.split('\n')[0], `services-web: ${why}`);
  });

  test(at('settings that others can write are refused'), t => {
    const { options, env, conf } = ready(t, 'SERVICES=cron\n');
    run(program, ['enable', 'services', ...options]);
    chmodSync(conf, 0o666);
    const said = `services: its settings: '${conf}' is writable by everybody (chmod go-w '${conf}')\n`;
    const pre = run(program, ['run', 'backup', 'pre', ...options], { env });
    assert.equal(pre.status, 1);
    assert.ok(pre.stderr.startsWith(said), pre.stderr);
    chmodSync(conf, 0o644);
    chmodSync(dirname(conf), 0o777);
    assert.match(
      run(program, ['library', 'services', 'backup', 'pre', '--settings', conf]).stderr,
      /is writable by everybody/,
    );
    chmodSync(dirname(conf), 0o755);
  });
}
