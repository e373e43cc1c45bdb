// /etc/default/tklbam-hooks: values for what the caller's environment leaves out.
import type { Environment, Refusal } from '../types.ts';
import { readTrusted } from './trust.ts';

export const DEFAULTS_FILE = '/etc/default/tklbam-hooks';

export interface Defaults {
  readonly values: Environment;
  /** What is wrong with the file, a line each. The rest of it still counts. */
  readonly warnings: readonly string[];
  /** Others than root could have written it: then it gives no values, and no hook may run without them. */
  readonly refusal?: Refusal;
}

/** A missing file gives no values. */
export function readDefaults(): Defaults {
  const reading = readTrusted(DEFAULTS_FILE);
  switch (reading.kind) {
    case 'text':
      return parseDefaults(reading.text);
    case 'absent':
      return { values: {}, warnings: [] };
    case 'refused':
      return { values: {}, warnings: [], refusal: reading.refusal };
    case 'not-a-file':
      return { values: {}, warnings: [`${DEFAULTS_FILE} is not a file, going on without it`] };
    case 'error':
      return {
        values: {},
        warnings: [`cannot read ${DEFAULTS_FILE} (${reading.code}), going on without it`],
      };
  }
}

interface Assignment {
  readonly line: number;
  readonly name: string;
  /** Undefined if there is no `=`. */
  readonly value: string | undefined;
  /** Its quote is not closed. */
  readonly isOpen: boolean;
}

/**
 * As systemd reads an EnvironmentFile (systemd.exec(5)): lines `NAME=VALUE`; `#` and `;` begin a comment at the start of a line alone;
 * quotes, single and double, and backslashes as in sh, but nothing is expanded; quoted parts, and what follows them, are joined.
 */
export function parseDefaults(text: string): Defaults {
  const values: Record<string, string> = {};
  const warnings: string[] = [];
  for (const { line, name, value, isOpen } of assignments(text)) {
    const say = (what: string): number =>
      warnings.push(`${DEFAULTS_FILE}: line ${line} ${what}, ignoring it`);
    if (isOpen) say('has a quote that is not closed');
    else if (value === undefined) say('is not NAME=VALUE');
    else if (/^export\s/.test(name)) say("begins with 'export', which is for shells");
    else if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) say('is not NAME=VALUE');
    else if (value.includes('\ufffd')) say('is not valid UTF-8');
    else if (value.includes('\0')) say('has a NUL byte');
    else values[name] = value;
  }
  return { values, warnings };
}

/** The state machine of parse_env_file_internal() in systemd's src/basic/env-file.c. */
function* assignments(text: string): Generator<Assignment> {
  let state: 'start' | 'comment' | 'name' | 'before' | 'bare' | 'single' | 'double' = 'start';
  let line = 1;
  let name = '';
  let value = '';
  let first = 1;
  /** How much of a bare value stays when blanks at its end go. */
  let kept = 0;
  const found = (isOpen: boolean): Assignment => {
    const whole = state === 'bare' ? value.slice(0, kept) : value;
    return { line: first, name: name.trimEnd(), value: state === 'name' ? undefined : whole, isOpen };
  };
  for (let i = 0; i < text.length; i++) {
    const c = text.charAt(i);
    const isNewline = c === '\n' || c === '\r';
    const isBlank = isNewline || c === ' ' || c === '\t';
    const isEscape = c === '\\';
    if (c === '\n') line++;
    if (isNewline && (state === 'name' || state === 'before' || state === 'bare')) {
      yield found(false);
      state = 'start';
    } else if (state === 'start') {
      if (isBlank) continue;
      state = c === '#' || c === ';' ? 'comment' : 'name';
      [name, value, kept, first] = [c, '', 0, line];
      if (c === '=') [name, state] = ['', 'before'];
    } else if (state === 'comment') {
      if (isNewline) state = 'start';
    } else if (state === 'name') {
      if (c === '=') state = 'before';
      else name += c;
    } else if (state === 'single') {
      if (c === "'") state = 'before';
      else value += c;
    } else if (state === 'double') {
      if (c === '"') state = 'before';
      else if (isEscape) {
        const next = text.charAt(++i);
        if (next === '\n') line++;
        // Before anything else than these, a backslash stands for itself.
        else value += /^["\\`$]$/.test(next) ? next : c + next;
      } else value += c;
    } else if (isEscape) {
      const next = text.charAt(++i);
      if (next === '\n') line++;
      else if (next !== '\r') value += next;
      state = 'bare';
      kept = value.length;
    } else if (state === 'before') {
      if (c === "'") state = 'single';
      else if (c === '"') state = 'double';
      else if (!isBlank) {
        state = 'bare';
        value += c;
        kept = value.length;
      }
    } else {
      value += c;
      if (!isBlank) kept = value.length;
    }
  }
  if (state !== 'start' && state !== 'comment') yield found(state === 'single' || state === 'double');
}
