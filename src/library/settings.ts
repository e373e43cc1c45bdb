// NAME.conf beside a ready hook: lines NAME=VALUE, which no shell reads.
import { escapeControls } from '../cli/text.ts';
import { describePathRefusal } from '../report/verdicts.ts';
import { parseDefaults } from '../system/defaults.ts';
import { describeErrno } from '../system/errno.ts';
import { readTrusted } from '../system/trust.ts';
import type { Problem, Rule, Values } from './hook.ts';

export interface Settings {
  readonly values: Values;
  /** With any, the values must not be acted upon: nobody knows what was meant. */
  readonly problems: readonly Problem[];
}

/** A missing file sets nothing. `uid` is that of who acts upon it: root and nobody else may be able to write it but them. */
export function readSettings(
  path: string,
  rules: Readonly<Record<string, Rule>>,
  uid: number = process.geteuid?.() ?? 0,
): Settings {
  const problem = (reason: string, remedy: string): Settings => ({
    values: {},
    problems: [{ reason: `its settings '${escapeControls(path)}': ${reason}`, remedy }],
  });
  const reading = readTrusted(path, uid);
  switch (reading.kind) {
    case 'text':
      return parseSettings(path, reading.text, rules);
    case 'absent':
      return { values: {}, problems: [] };
    case 'not-a-file':
      return problem('no file', 'remove it');
    case 'error':
      return problem(describeErrno(reading.code), 'mend that');
    case 'refused': {
      const { reason, remedy } = describePathRefusal(reading.refusal, path);
      return { values: {}, problems: [{ reason: `its settings: ${reason}`, remedy }] };
    }
  }
}

/** Pure. `path` is for messages. */
export function parseSettings(path: string, text: string, rules: Readonly<Record<string, Rule>>): Settings {
  const { values, warnings } = parseDefaults(text);
  const at = (line: number | undefined): string =>
    `'${escapeControls(path)}'${line === undefined ? '' : ` line ${line}`}`;
  const malformed = warnings.map((warning): Problem => {
    const [, line, what = warning] = /: line (\d+) (.*), ignoring it$/.exec(warning) ?? [];
    const where = at(line === undefined ? undefined : Number(line));
    return { reason: `${where}: it ${what}`, remedy: 'correct or remove the line' };
  });
  const wrong = Object.entries(values).flatMap(([name, value]): Problem[] => {
    const where = at(lineOf(text, name));
    const rule = Object.hasOwn(rules, name) ? rules[name] : undefined;
    if (rule === undefined) {
      const known = Object.keys(rules).join(', ');
      return [{ reason: `${where}: unknown setting '${name}'`, remedy: `it is one of ${known}` }];
    }
    const lack = value.trim() === '' ? undefined : rule(value);
    return lack === undefined
      ? []
      : [{ reason: `${where}: ${name} ${escapeControls(lack)}`, remedy: 'correct it' }];
  });
  const set = Object.entries(values).filter(([, value]) => value.trim() !== '');
  return { values: Object.fromEntries(set), problems: [...malformed, ...wrong] };
}

/** The line that sets a name last, counted from 1. */
function lineOf(text: string, name: string): number | undefined {
  const index = text
    .split('\n')
    .findLastIndex(line => line.match(/^\s*(?:export\s+)?(\w+)\s*=/)?.[1] === name);
  return index < 0 ? undefined : index + 1;
}

/** The words of a value, with blanks between them. */
export const words = (value: string | undefined): string[] =>
  (value ?? '').split(/\s+/).filter(word => word !== '');

/** A rule for a value that is one of a few. */
export const oneOf =
  (...known: readonly string[]): Rule =>
  value =>
    known.includes(value) ? undefined : `is '${value}', and can only be ${known.join(' or ')}`;

/** A rule for a path that does not depend on where we are. */
export const absolutePath: Rule = value =>
  value.startsWith('/') ? undefined : `is '${value}', which is no absolute path`;
