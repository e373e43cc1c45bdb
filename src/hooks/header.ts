// What a hook asks for in its comments: `# tklbam-hooks: timeout=20m failure=warn`. Pure.
import { parseDuration } from '../system/duration.ts';
import type { Header } from '../types.ts';

export const NO_HEADER: Header = { timeoutMs: undefined, failure: 'stop', faults: [] };

/** `head` is the first 4 KiB; where it ends in mid-line, that line does not count. */
export function parseHeader(head: Buffer, isWhole: boolean): Header {
  let { timeoutMs, failure } = NO_HEADER;
  const faults: { line: number; text: string }[] = [];
  const lines = head.toString().split('\n');
  if (!isWhole) lines.pop();
  for (const [index, text] of lines.entries()) {
    const [, settings] = /^\s*#\s*tklbam-hooks:(.*)$/.exec(text) ?? [];
    if (settings === undefined) continue;
    for (const setting of settings.split(/\s+/).filter(word => word !== '')) {
      const [, key, value = ''] = /^([^=]*)=(.*)$/.exec(setting) ?? [];
      const asked = key === 'timeout' ? parseDuration(value) : undefined;
      if (asked !== undefined) timeoutMs = asked;
      else if (key === 'failure' && (value === 'warn' || value === 'stop')) failure = value;
      else faults.push({ line: index + 1, text: setting });
    }
  }
  return { timeoutMs, failure, faults };
}
