// /etc/default/tklbam-hooks: values for what the caller's environment leaves out.
import { readFileSync } from 'node:fs';
import { parseEnv } from 'node:util';
import type { Environment } from '../types.ts';

export const DEFAULTS_FILE = '/etc/default/tklbam-hooks';

export interface Defaults {
  readonly values: Environment;
  /** What is wrong with the file, a line each. The rest of it still counts. */
  readonly warnings: readonly string[];
}

/** A missing file gives no values. */
export function readDefaults(): Defaults {
  let text: string;
  try {
    text = readFileSync(DEFAULTS_FILE, 'utf8');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    if (code === 'ENOENT') return { values: {}, warnings: [] };
    return { values: {}, warnings: [`cannot read ${DEFAULTS_FILE} (${code}), going on without it`] };
  }
  return parseDefaults(text);
}

/** Lines `NAME=VALUE`, with quotes if need be, comments and nothing else: no shell reads it, so nothing is expanded. */
export function parseDefaults(text: string): Defaults {
  const warnings = text.split('\n').flatMap((line, index) => {
    if (/^\s*(?:#|$)/.test(line) || /^\s*(?:export\s+)?[A-Za-z_][A-Za-z0-9_]*\s*=/.test(line)) return [];
    return [`${DEFAULTS_FILE}: line ${index + 1} is not NAME=VALUE, ignoring it`];
  });
  const values = Object.entries(parseEnv(text)).filter(
    (entry): entry is [string, string] => entry[1] !== undefined,
  );
  return { values: Object.fromEntries(values), warnings };
}
