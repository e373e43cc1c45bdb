// The options among the words of the command line, each checked against the table. Pure.
import mri from 'mri';
import { OPTION_LIST, type OptionName } from './grammar.ts';
import { didYouMean, quote, suggest } from './text.ts';
import { UsageError } from './usage-error.ts';

/** What was given for each option that was; for a flag, nothing. */
export type Values = ReadonlyMap<OptionName, readonly string[]>;

/** As getopt_long(3) reads them, wherever they stand, but for abbreviations. The one function that meets mri. Throws UsageError. */
export function parseOptions(argv: readonly string[]): {
  readonly words: readonly string[];
  readonly values: Values;
} {
  const { words, options } = check(argv);
  const parsed: unknown = mri([...options, '--', ...words], {
    string: KNOWN.filter(({ takesValue }) => takesValue).map(({ name }) => name),
    boolean: KNOWN.filter(({ takesValue }) => !takesValue).map(({ name }) => name),
  });
  const found = new Map<string, unknown>(Object.entries(parsed ?? {}));
  const values = new Map<OptionName, readonly string[]>();
  for (const { name, takesValue } of KNOWN) {
    const value = found.get(name);
    if (value === undefined || value === false) continue;
    values.set(name, takesValue ? [value].flat().map(String) : []);
  }
  return { words, values };
}

/**
 * The words, and the options in the one form that mri does not misread: it would take `---x` for `x`, let `--no-x` and `-x=1` pass, and the
 * value of one option for another.
 */
function check(argv: readonly string[]): { readonly words: string[]; readonly options: string[] } {
  const words: string[] = [];
  const options: string[] = [];
  const seen = new Set<OptionName>();
  const rest = [...argv];
  for (let arg = rest.shift(); arg !== undefined; arg = rest.shift()) {
    if (!arg.startsWith('-')) {
      words.push(arg);
      continue;
    }
    const [, flag = arg, given] = /^(--[^=]+)=(.*)$/s.exec(arg) ?? [];
    const known = find(flag);
    if (known === undefined) throw new UsageError(`unknown option ${quote(flag)}${hint(flag)}`);
    for (const { name, takesValue, isOptional, isRepeatable } of known) {
      if (!takesValue && given !== undefined) throw new UsageError(`option '--${name}' takes no value`);
      const next = rest[0];
      // One that is an option itself was not meant for a value; `--only=--json` says that it is.
      const isMeant = next !== undefined && (isOptional ? /^\d/.test(next) : find(next) === undefined);
      const value = given ?? (takesValue && isMeant ? rest.shift() : isOptional ? '' : undefined);
      if (takesValue && !value && !(isOptional && given === undefined))
        throw new UsageError(`option '--${name}' needs a value`);
      if (takesValue && !isRepeatable && seen.has(name))
        throw new UsageError(`option '--${name}' is given twice`);
      seen.add(name);
      options.push(value === undefined ? `--${name}` : `--${name}=${value}`);
    }
  }
  return { words, options };
}

interface Known {
  readonly name: OptionName;
  readonly takesValue: boolean;
  /** Without a value, it is given as an empty one. */
  readonly isOptional: boolean;
  readonly isRepeatable: boolean;
}

const KNOWN = OPTION_LIST.map(([name, option]) => ({
  flags: [`--${name}`, ...(option.short === undefined ? [] : [`-${option.short}`])],
  name,
  takesValue: option.value !== undefined,
  isOptional: option.value?.startsWith('[') ?? false,
  isRepeatable: option.repeatable !== undefined,
}));

/** `--name`, or letters behind one dash; undefined if any of them is none of ours. */
function find(flag: string): readonly Known[] | undefined {
  const flags = /^-[a-z]+$/.test(flag) ? [...flag.slice(1)].map(letter => `-${letter}`) : [flag];
  const found = flags.map(each => KNOWN.find(known => known.flags.includes(each)));
  return found.every(each => each !== undefined) ? found : undefined;
}

function hint(flag: string): string {
  const name = suggest(
    flag.replace(/^-+(?:no-)?/, ''),
    OPTION_LIST.map(([known]) => known),
  );
  return didYouMean(name && `--${name}`);
}
