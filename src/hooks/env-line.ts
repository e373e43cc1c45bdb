// What env(1) makes of the one argument that the kernel gives it from a `#!` line. Pure.

export type EnvLine =
  /** A name to look for in PATH, or a path. */
  | { readonly kind: 'program'; readonly name: string }
  /** Options for the interpreter too, which without -S are part of its name. */
  | { readonly kind: 'one-word'; readonly text: string }
  /** Only env itself could tell what it would run. */
  | { readonly kind: 'unknown' };

/** `-S`, alone or behind other options that take no argument, or in long. */
const SPLIT = /^(?:-[iv0]*S|--split-string(?:=|\s))\s*/;

export const isSplit = (argument: string): boolean => SPLIT.test(argument);

export function parseEnvLine(argument: string): EnvLine {
  const [option] = SPLIT.exec(argument) ?? [];
  if (option === undefined) {
    if (argument === '' || /^-|=/.test(argument)) return { kind: 'unknown' };
    return /\s/.test(argument.trim())
      ? { kind: 'one-word', text: argument }
      : { kind: 'program', name: argument };
  }
  const rest = argument.slice(option.length);
  // -S has quotes, escapes and variables of its own.
  if (/["'\\$#]/.test(rest)) return { kind: 'unknown' };
  const words = rest.split(/\s+/).filter(word => word !== '');
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    if (word === '-u' || word === '--unset' || word === '-C' || word === '--chdir') words.shift();
    else if (!word.startsWith('-') && !word.includes('=')) return { kind: 'program', name: word };
  }
  return { kind: 'unknown' };
}
