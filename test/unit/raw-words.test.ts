import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { carryRawWords } from '../../src/run/raw-words.ts';

// Node.js would add it to the environments that are compared here.
delete process.env.NODE_V8_COVERAGE;

const PRINT = ['-c', 'printf "%s\\0" "$@"; env -0 | sort -z', 'sh'] as const;
const raw =
  (words: readonly string[], environ: readonly string[] = []) =>
  () => ({ argv: words, environ });

/** What a program that is started so gets: its arguments, and its environment. A character a byte. */
function started(args: readonly string[], env: Record<string, string>, environ: readonly string[]): string[] {
  const shown = args.map(arg => Buffer.from(arg, 'latin1').toString());
  const own = PRINT.map(word => Buffer.from(word).toString('latin1'));
  const carried = carryRawWords(
    ['/bin/sh', ...PRINT, ...shown],
    env,
    raw(['tklbam-hooks', ...own, ...args], environ),
  );
  assert.ok(carried !== undefined);
  const [file, ...words] = carried.words;
  const { stdout, stderr } = spawnSync(file, words, { env: carried.env, encoding: 'latin1' });
  assert.equal(stderr, '');
  return stdout.split('\0').filter(line => !/^(?:PWD|OLDPWD|_|SHLVL)=/.test(line));
}

test('what is UTF-8 is left as it is', () => {
  const carried = carryRawWords(['/bin/tar', 'ü'], { A: 'é' }, raw([]));
  assert.deepEqual(carried, { words: ['/bin/tar', 'ü'], env: { A: 'é' } });
});

test('every byte that an argument can have gets through', () => {
  const bytes = Array.from({ length: 255 }, (_, index) => String.fromCharCode(index + 1)).join('');
  assert.deepEqual(started([bytes, '', '-x', '--', `${bytes}\n`], {}, []), [
    bytes,
    '',
    '-x',
    '--',
    `${bytes}\n`,
    '',
  ]);
});

test('so do variables, and those that perl itself would obey', () => {
  const env = { LC_ALL: 'xx_XX', LATIN: 'caf\ufffd', PERL5OPT: '-Mnone', UTF8: 'é=ü' };
  const got = started(['\xff'], env, ['LATIN=caf\xe9', 'OTHER=\xfe']);
  const utf8 = Buffer.from('UTF8=é=ü').toString('latin1');
  assert.deepEqual(got, ['\xff', 'LATIN=caf\xe9', 'LC_ALL=xx_XX', 'PERL5OPT=-Mnone', utf8, '']);
});

test('arguments that are not ours, with a variable that is', () => {
  const carried = carryRawWords(['/usr/bin/env', '-0'], { A: 'caf\ufffd' }, raw(['x', 'y'], ['A=caf\xe9']));
  const [file = '', ...words] = carried?.words ?? [];
  assert.equal(spawnSync(file, words, { env: carried?.env, encoding: 'latin1' }).stdout, 'A=caf\xe9\0');
});

test('U+FFFD itself is UTF-8', () => {
  const word = Buffer.from('\ufffd').toString('latin1');
  assert.deepEqual(started([word], {}, []), [word, '']);
});

test('what a caller of `session` says is carried by its own bytes, and U+FFFD itself', () => {
  const env = { 'N\udcff': 'caf\udce9 \u{1f600}\udc80', B: 'x\ufffd', C: 'é' };
  const carried = carryRawWords(['/usr/bin/env', '-0'], env, raw(['x'], ['B=y']));
  const [file = '', ...words] = carried?.words ?? [];
  const { stdout } = spawnSync(file, words, { env: carried?.env, encoding: 'latin1' });
  const bytes = (text: string): string => Buffer.from(text).toString('latin1');
  assert.deepEqual(
    stdout.split('\0').sort(),
    ['', `B=${bytes('x\ufffd')}`, `C=${bytes('é')}`, `N\xff=caf\xe9 ${bytes('\u{1f600}')}\x80`].sort(),
  );
});

test('where the bytes are not known, there is no guess', () => {
  assert.equal(carryRawWords(['/bin/tar', '\ufffd'], {}, raw([])), undefined);
  assert.equal(carryRawWords(['/bin/tar', '\ufffd'], {}, raw(['tar', 'x'])), undefined);
  assert.equal(carryRawWords(['/bin/tar'], { A: '\ufffd' }, raw([])), undefined);
});

test('a program that is gone is 127, as for a shell', () => {
  const carried = carryRawWords(['/nonexistent', '\ufffd'], {}, raw(['\xff']));
  const [file = '', ...words] = carried?.words ?? [];
  const { status, stderr } = spawnSync(file, words, { env: {}, encoding: 'utf8' });
  assert.deepEqual([status, stderr], [127, '/nonexistent: No such file or directory\n']);
});
