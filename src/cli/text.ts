// Text for terminals and logs. Pure.
import { hasRawBytes } from '../system/bytes.ts';

/**
 * Text as one line of printable characters: what a terminal or a log would act on becomes `\x0a` or `\u202e`, and a byte that is not UTF-8
 * (system/bytes.ts) `\xff`.
 */
export function escapeControls(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\\]/gu, character => {
    if (character === '\\') return '\\\\';
    const code = hasRawBytes(character) ? character.charCodeAt(0) & 0xff : (character.codePointAt(0) ?? 0);
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u{${code.toString(16)}}`;
  });
}

/** As `escapeControls`, of what is escaped already where it comes from us: the texts of the log and of the record, which are files. */
export const escapeStored = (text: string): string => text.split('\\').map(escapeControls).join('\\');

/** Text cut at spaces into lines of at most `width` characters; a longer word has a line of its own. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(' ').filter(each => each !== '')) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= width)
      lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}

export const quote = (text: string): string => `'${escapeControls(text)}'`;

/** As a word of a command that is to be typed. */
export const shellWord = (text: string): string =>
  /^[\w@%+:,.-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;

/** The one of the words that a mistyped one was meant for; empty if none is near. */
export function suggest(typo: string, words: readonly string[]): string {
  const ranked = words
    .map(word => ({ word, edits: edits(typo, word) }))
    .filter(({ word, edits }) => edits <= (word.length > 4 ? 2 : 1) && edits < word.length)
    .sort((a, b) => a.edits - b.edits);
  return ranked[0]?.word ?? '';
}

/** Behind what was mistyped; nothing without a word that is near. */
export const didYouMean = (word: string): string => word && `, did you mean ${quote(word)}?`;

/** How many letters have to be put in, left out, replaced or swapped with the next: optimal string alignment. */
function edits(from: string, to: string): number {
  const rows = [Array.from({ length: to.length + 1 }, (_, j) => j)];
  const at = (i: number, j: number): number => rows[i]?.[j] ?? Number.POSITIVE_INFINITY;
  for (let i = 1; i <= from.length; i++) {
    const row = [i];
    rows.push(row);
    for (let j = 1; j <= to.length; j++) {
      const replaced = at(i - 1, j - 1) + (from[i - 1] === to[j - 1] ? 0 : 1);
      const isSwap = i > 1 && j > 1 && from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1];
      const swapped = isSwap ? at(i - 2, j - 2) + 1 : Number.POSITIVE_INFINITY;
      row.push(Math.min(at(i - 1, j) + 1, at(i, j - 1) + 1, replaced, swapped));
    }
  }
  return at(from.length, to.length);
}

/** A name that any log, label and file name can hold, as near as can be: what it must not have in it is `_`. */
export const asName = (text: string): string =>
  text
    .replace(/^\.|[^A-Za-z0-9._@:+-]/g, '_')
    .slice(0, 64)
    .padStart(1, '_');

/** The end gives way. */
export const cut = (text: string, width: number): string =>
  text.length <= width ? text : `${text.slice(0, width - 3)}...`;

/** The middle gives way: both ends of a name tell more. */
export function shorten(text: string, width: number): string {
  if (columns(text) <= width) return text;
  const isWide = columns(text) > text.length;
  const half = Math.floor((width - 3) / (isWide ? 4 : 2));
  return `${text.slice(0, half)}...${text.slice(-half)}`;
}

/** The most that the text can take on a terminal: what is beyond Latin may be two columns wide. */
export const columns = (text: string): number => text.replace(/[^\0-\u024f\u2026]/g, '..').length;

/** Names for a sentence: of a thousand, the first. */
export const listed = (names: readonly string[], most = 20): string =>
  names.length <= most
    ? names.join(', ')
    : `${names.slice(0, most - 1).join(', ')} and ${names.length - most + 1} more`;
