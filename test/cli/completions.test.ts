// Completions, in the shells themselves: every command, word and option of the table.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { completions } from '../../build/completions.ts';
import { COMMANDS, LIBRARY, OPERATIONS, OPTION_LIST, STATES } from '../../src/cli/grammar.ts';
import { place, programs, scratch } from '../support/harness.ts';
import { repository } from '../support/repository.ts';

const options = (command: string): string[] =>
  [...(COMMANDS[command]?.options ?? []), 'help'].map(name => `--${name}`).sort();

/** The completions in files, and a PATH that has the program. */
function install(t: TestContext) {
  const directory = scratch(t);
  for (const [file, text] of Object.entries(completions())) {
    mkdirSync(join(directory, dirname(file)), { recursive: true });
    place(directory, file, text, 0o644);
  }
  const bin = join(directory, 'bin');
  mkdirSync(bin);
  const words = programs.at(-1)?.command ?? [];
  place(bin, 'tklbam-hooks', `#!/bin/sh\nexec ${words.map(word => `'${word}'`).join(' ')} "$@"\n`);
  const hooks = join(directory, 'hooks.d');
  mkdirSync(hooks);
  for (const name of ['dump', 'dump two', 'snapshot']) place(hooks, name, '#!/bin/sh\n');
  for (const name of ['dump-off', 'dump.conf']) place(hooks, name, '#!/bin/sh\n', 0o644);
  const env = { ...process.env, PATH: `${bin}:${process.env.PATH}`, HOME: directory, LC_ALL: 'C.UTF-8' };
  const lines = (command: readonly [string, ...string[]]): string[] => {
    const [file, ...args] = command;
    const { stdout, stderr } = spawnSync(file, args, { encoding: 'utf8', env, cwd: directory });
    assert.equal(stderr, '');
    return stdout.split('\n').filter(line => line !== '');
  };
  return { directory, hooks, lines };
}

const SHELLS: Readonly<
  Record<string, (setup: ReturnType<typeof install>, words: readonly string[]) => string[]>
> = {
  bash: ({ directory, lines }, words) => {
    // As readline cuts the line.
    const cut = words.flatMap(word => (/^--\w+=/.test(word) ? word.split(/(=)/) : [word]));
    const split = cut.at(-1) === '' && cut.at(-2) === '=' ? cut.slice(0, -1) : cut;
    const script = `source "$0" && COMP_WORDS=(tklbam-hooks "$@") COMP_CWORD=$# && _tklbam_hooks && printf '%s\\n' "\${COMPREPLY[@]}"`;
    return lines(['bash', '-c', script, join(directory, 'bash/tklbam-hooks'), ...split]);
  },
  zsh: ({ directory, lines }, words) => {
    const quoted = words.map(word => word.replaceAll(' ', '\\ ')).join(' ');
    const script = join(repository, 'test/support/complete.zsh');
    const offered = lines(['timeout', '60', 'zsh', script, join(directory, 'zsh'), `tklbam-hooks ${quoted}`]);
    return [...new Set(offered.map(line => line.trim()).filter(line => line !== ''))];
  },
  fish: ({ directory, lines }, words) => {
    const quoted = words.map(word => (word === '' ? '' : word.replaceAll(' ', '\\ '))).join(' ');
    const script = `source ${directory}/fish/tklbam-hooks.fish; complete -C 'tklbam-hooks ${quoted}'`;
    return lines(['fish', '--no-config', '-c', script]).map(
      line => line.split('\t')[0]?.replace(/^--\w+=/, '') ?? '',
    );
  },
};

for (const [shell, complete] of Object.entries(SHELLS)) {
  test(`${shell} completes every command, word and option`, t => {
    const setup = install(t);
    const offers = (...words: string[]): string[] => complete(setup, words).sort();
    const sorted = (words: readonly string[]): string[] => [...words].sort();
    const commands = offers('');
    assert.deepEqual(
      commands.filter(word => !word.startsWith('-')),
      sorted(Object.keys(COMMANDS)),
    );
    for (const [name, command] of Object.entries(COMMANDS)) {
      assert.deepEqual(offers(name, '--'), options(name), name);
      const first = /^\[?([A-Z]+)/.exec(command.arguments)?.[1];
      if (first === 'OPERATION') assert.deepEqual(offers(name, ''), sorted(OPERATIONS), name);
      if (first === 'HOOK') assert.deepEqual(offers(name, ''), sorted(LIBRARY), name);
    }
    assert.deepEqual(offers('run', 'backup', ''), sorted(STATES));
    assert.deepEqual(offers('run', '--hooks', '/x', 'backup', 'p'), ['post', 'pre']);
    assert.deepEqual(offers('run', '--hooks=/x', 'backup', 'p'), ['post', 'pre']);
    assert.deepEqual(offers('run', '--verbose', 'restore', 'i'), ['inspect']);
    // Where no word can stand, zsh offers the options.
    for (const command of ['status', 'new']) {
      assert.deepEqual(
        offers(command, '').filter(word => !word.startsWith('--')),
        [],
      );
    }
    for (const [name, { value }] of OPTION_LIST) {
      const [command = ''] =
        Object.entries(COMMANDS).find(([, { options }]) => options.some(each => each === name)) ?? [];
      if (value === 'DURATION' || value === 'FD')
        assert.deepEqual(offers(command, `--${name}`, ''), [], name);
    }
  });

  test(`${shell} completes directories, the names of hooks, and for --only those that are enabled`, t => {
    const setup = install(t);
    const { hooks } = setup;
    const offers = (...words: string[]): string[] =>
      complete(setup, words)
        // Zsh offers a name, and knows the directory.
        .map(word => basename(word))
        .sort();
    const part = hooks.slice(0, -2);
    assert.deepEqual(offers('run', '--hooks', part), ['hooks.d']);
    assert.deepEqual(offers('run', `--hooks=${part}`), ['hooks.d']);
    assert.deepEqual(offers('run', '--hooks', hooks, '--only', 'd'), ['dump', 'dump two']);
    assert.deepEqual(offers('run', `--hooks=${hooks}`, '--only', ''), ['dump', 'dump two', 'snapshot']);
    assert.deepEqual(offers('run', '--hooks', `${hooks}/none`, '--only', ''), []);
    assert.deepEqual(offers('enable', '--hooks', hooks, 'dump-'), ['dump-off']);
    assert.deepEqual(offers('check', '--hooks', hooks, 'dump', 's'), ['snapshot']);
  });
}

test('bash completes the command that wrap runs, and its arguments', t => {
  const setup = install(t);
  const offers = (...words: string[]): string[] => SHELLS.bash?.(setup, words) ?? [];
  assert.deepEqual(offers('wrap', 'backup', ''), ['--']);
  assert.ok(offers('wrap', 'backup', '--', 'dpkg-d').includes('dpkg-deb'));
  assert.deepEqual(offers('wrap', 'backup', '--', 'restic', setup.hooks.slice(0, -1)), [setup.hooks]);
  assert.deepEqual(offers('wrap', 'backup', '--', 'restic', '--'), []);
});
