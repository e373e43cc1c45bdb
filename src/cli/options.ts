// The options among the words of the command line, each checked against the table. Pure.
import { OPTION_LIST, type OptionName } from './grammar.ts';
import { quote, suggest } from './text.ts';
import { UsageError } from './usage-error.ts';

/** What was given for each option that was; for a flag, nothing. */
export type Values = ReadonlyMap<OptionName, readonly string[]>;

/** As getopt_long(3) reads them, wherever they stand, but for abbreviations. Throws UsageError. */
export function parseOptions(argv: readonly string[]): {
  readonly words: readonly string[];
  readonly values: Values;
} {
  const words: string[] = [];
  const values = new Map<OptionName, string[]>();
  const rest = [...argv];
  for (let arg = rest.shift(); arg !== undefined; arg = rest.shift()) {
    if (!arg.startsWith('-')) {
      words.push(arg);
      continue;
    }
    const [, flag = arg, given] = /^(--[^=]+)=(.*)$/s.exec(arg) ?? [];
    const options = find(flag);
    if (options === undefined) throw new UsageError(`unknown option ${quote(flag)}${hint(flag)}`);
    for (const { name, takesValue, isRepeatable } of options) {
      if (!takesValue && given !== undefined) throw new UsageError(`option '--${name}' takes no value`);
      const next = rest[0];
      // One that is an option itself was not meant for a value; `--only=--json` says that it is.
      const value =
        given ?? (takesValue && next !== undefined && find(next) === undefined ? rest.shift() : undefined);
      if (takesValue && !value) throw new UsageError(`option '--${name}' needs a value`);
      if (takesValue && !isRepeatable && values.has(name))
        throw new UsageError(`option '--${name}' is given twice`);
      values.set(name, [...(values.get(name) ?? []), ...(value === undefined ? [] : [value])]);
    }
  }
  return { words, values };
}

interface Known {
  readonly name: OptionName;
  readonly takesValue: boolean;
  readonly isRepeatable: boolean;
}

const KNOWN = OPTION_LIST.map(([name, option]) => ({
  flags: [`--${name}`, ...(option.short === undefined ? [] : [`-${option.short}`])],
  name,
  takesValue: option.value !== undefined,
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
  return name && `, did you mean '--${name}'?`;
}
