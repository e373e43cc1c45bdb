// What a hook asks for in its comments: `# tklbam-hooks: timeout=20m failure=warn`. Pure.
import { parseDuration } from '../system/duration.ts';
import type { Header } from '../types.ts';

type Asked = Omit<Header, 'faults'>;

export const NO_HEADER: Header = {
  timeoutMs: undefined,
  failure: 'stop',
  always: false,
  secrets: false,
  faults: [],
};

/** A line that was meant as a header and is none: the colon is missing, or the program's name is misspelt. */
const NEAR_MISS =
  /^\s*[#;/]+\s*tklbam[-_ ]?hooks?\s*[:=]?\s+(?:(?:timeout|failure|secrets)\s*[=:]|always\s*$)/i;

/**
 * A line counts as a whole or not at all: half of what it asks for may be what nobody wants. `head` is the beginning of the file; where it
 * ends in mid-line, that line does not count.
 */
export function parseHeader(head: Buffer, isWhole: boolean): Header {
  let asked: Asked = NO_HEADER;
  const faults: { line: number; text: string }[] = [];
  const lines = head.toString().split('\n');
  if (!isWhole) lines.pop();
  for (const [index, text] of lines.entries()) {
    const [, settings] = /^\s*#\s*tklbam-hooks:(.*)$/s.exec(text) ?? [];
    if (settings === undefined) {
      if (NEAR_MISS.test(text)) faults.push({ line: index + 1, text: text.trim() });
      continue;
    }
    const words = settings.split(/\s+/).filter(word => word !== '');
    const wrong = words.filter(word => parseWord(word) === undefined);
    if (wrong.length > 0) faults.push({ line: index + 1, text: wrong.join(' ') });
    else asked = words.reduce<Asked>((all, word) => Object.assign(all, parseWord(word)), { ...asked });
  }
  return { ...asked, faults };
}

function parseWord(word: string): Partial<Asked> | undefined {
  const [, key = '', value] = /^([^=]*)(?:=(.*))?$/s.exec(word) ?? [];
  switch (key) {
    case 'timeout': {
      const timeoutMs = parseDuration(value ?? '');
      return timeoutMs === undefined ? undefined : { timeoutMs };
    }
    case 'failure':
      return value === 'warn' || value === 'stop' ? { failure: value } : undefined;
    case 'secrets':
      return value === 'yes' || value === 'no' ? { secrets: value === 'yes' } : undefined;
    case 'always':
      return value === undefined ? { always: true } : undefined;
    default:
      return undefined;
  }
}
