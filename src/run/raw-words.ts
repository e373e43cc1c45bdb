// Arguments and variables that are not UTF-8, carried through as they are: Node.js decodes those that it gets, and encodes those that it
// gives. A small perl(1), which every Debian has, is handed their bytes as digits, and becomes the program by one exec(2).
import { readFileSync } from 'node:fs';
import { decodeBytes, hasRawBytes, toBytes } from '../system/bytes.ts';
import { attempt } from '../system/errno.ts';
import { findHelper } from '../system/which.ts';
import type { Environment } from '../types.ts';

/** Our own arguments or environment as the kernel has them, a character for each byte (latin1). Empty without /proc. */
export interface RawWords {
  readonly argv: readonly string[];
  readonly environ: readonly string[];
}

export function readRawWords(): RawWords {
  const read = (name: string): string[] =>
    (attempt(() => readFileSync(`/proc/self/${name}`, 'latin1')) ?? '').split('\0').slice(0, -1);
  return { argv: read('cmdline'), environ: read('environ') };
}

/** The words and environment to start in place of the program's own. */
export interface Carried {
  readonly words: readonly [string, ...string[]];
  readonly env: Environment;
}

const SCRIPT = `delete $ENV{PERL_BADLANG};
for (splice @ARGV, 0, shift) { my ($name, $value) = split /=/, pack('H*', $_), 2; $ENV{$name} = $value }
my @words = map { pack 'H*', $_ } @ARGV;
exec { $words[0] } @words;
my $error = $! + 0;
print STDERR "$words[0]: $!\\n";
exit($error == 2 ? 127 : 126);`;

/**
 * Those of `args` that are not UTF-8 stand in the same places at the end of our own. Variables of `env` that are not are ours, with U+FFFD where
 * Node.js put it, or a caller's of `session`, with their bytes as system/bytes.ts has them. Unchanged if all of it is UTF-8; undefined if
 * something is not and its bytes are not known. The name of the program has to be UTF-8. Reads no more than it has to.
 */
export function carryRawWords(
  [file, ...args]: readonly [string, ...string[]],
  env: Environment,
  read: () => RawWords,
): Carried | undefined {
  const isLossy = (text: string): boolean => text.includes('\ufffd');
  const isBare = ([name, value]: [string, string]): boolean =>
    [name, value].some(each => isLossy(each) || hasRawBytes(each));
  const bare = Object.entries(env).filter(isBare);
  if (!args.some(isLossy) && bare.length === 0) return { words: [file, ...args], env };

  const raw = read();
  const own = args.length === 0 ? [] : raw.argv.slice(-args.length);
  const entries = bare.map(([name, value]): string | undefined => {
    const entry = `${name}=${value}`;
    if (hasRawBytes(entry)) return toBytes(entry).toString('latin1');
    const ours = raw.environ.find(each => decodeBytes(each) === entry);
    // One that is not ours has that character itself.
    return ours ?? (raw.environ.length === 0 ? undefined : toBytes(entry).toString('latin1'));
  });
  const isKnown = args.every((arg, index) => !isLossy(arg) || decodeBytes(own[index] ?? '') === arg);
  const perl = findHelper('perl');
  if (!isKnown || entries.includes(undefined) || perl === undefined) return undefined;

  // perl(1) obeys variables that begin with PERL.
  const isPerls = (name: string): boolean => name.startsWith('PERL');
  const others = Object.entries(env).filter(entry => !isBare(entry));
  const plain = others.filter(([name]) => !isPerls(name));
  const perls = others.filter(([name]) => isPerls(name));
  const variables = [
    ...entries.map(entry => hex(entry ?? '', 'latin1')),
    ...perls.map(([name, value]) => hex(`${name}=${value}`, 'utf8')),
  ];
  const words = args.map((arg, index) => (isLossy(arg) ? hex(own[index] ?? '', 'latin1') : hex(arg, 'utf8')));
  return {
    words: [perl, '-e', SCRIPT, '--', String(variables.length), ...variables, hex(file, 'utf8'), ...words],
    env: { ...Object.fromEntries(plain), PERL_BADLANG: '0' },
  };
}

const hex = (text: string, encoding: 'latin1' | 'utf8'): string =>
  Buffer.from(text, encoding).toString('hex');
