// What a hook's own words tell of it. Pure.
import { escapeControls } from '../cli/text.ts';
import { describeHeaderFault } from '../report/verdicts.ts';
import type { Environment, Finding, Header } from '../types.ts';
import { HEAD_SIZE } from './exec-format.ts';
import { isSecret } from './plan.ts';

/** Reason and remedy of a finding, each of one line. */
export interface Why {
  readonly kind: Finding['kind'];
  readonly reason: string;
  readonly remedy: string;
}

/** `text` is the whole of a script; `env` what the caller has, and the settings. */
export function checkText(text: string, isShell: boolean, header: Header, env: Environment): Why[] {
  return [
    ...lateHeader(text),
    ...carriageReturn(text, isShell),
    ...secret(text, header, env),
    ...noError(text),
  ];
}

/** Header lines beyond the part of a file that is read for them. */
function lateHeader(text: string): Why[] {
  const all = Buffer.from(text);
  if (all.length <= HEAD_SIZE) return [];
  const start = all.subarray(0, HEAD_SIZE).lastIndexOf('\n') + 1;
  const before = all.toString('utf8', 0, start).split('\n').length - 1;
  const lines = all.toString('utf8', start).split('\n');
  const index = lines.findIndex(line => /^\s*#\s*tklbam-hooks:/.test(line));
  if (index < 0) return [];
  const reason = `line ${before + index + 1} is for tklbam-hooks, and behind the first 4 KiB, so it is not used`;
  return [{ kind: 'header', reason, remedy: 'move it to the top' }];
}

/** Carriage returns behind the first line: a fault in shell scripts, a blank for other interpreters. */
function carriageReturn(text: string, isShell: boolean): Why[] {
  const lines = text.split('\n').slice(0, isShell ? undefined : 1);
  const index = lines.findIndex(line => line.endsWith('\r'));
  if (index < 0) return [];
  const which = index === 0 ? 'its first line' : `line ${index + 1}`;
  const reason = `${which} ends in CRLF, as written on Windows`;
  return [{ kind: 'carriage-return', reason, remedy: "sed -i 's/\\r$//' it" }];
}

/** Secrets that are set and that the hook reads, though it does not ask for secrets. */
function secret(text: string, header: Header, env: Environment): Why[] {
  if (header.secrets) return [];
  const code = withoutComments(text);
  const names = Object.keys(env).filter(name => isSecret(name) && /^\w+$/.test(name));
  const found = names.filter(name => new RegExp(`(?<!\\w)${name}(?!\\w)`).test(code));
  return found.map(name => ({
    kind: 'secret',
    reason: `it uses ${escapeControls(name)}, which is withheld from hooks that do not ask for secrets`,
    remedy: "write '# tklbam-hooks: secrets=yes' below its first line",
  }));
}

/** A hook that knows `post` and not `error` is not told when the backup fails. The word in a comment shows that its author thought of it. */
function noError(text: string): Why[] {
  if (!/(?<!\w|--)post(?![\w-])/.test(withoutComments(text)) || /\berror\b/i.test(text)) return [];
  const reason = "it knows 'post' and never 'error', which comes in its place when anything fails";
  return [
    {
      kind: 'no-error',
      reason,
      remedy: "do in 'error' what is still to be done, or say in a comment why not",
    },
  ];
}

const withoutComments = (text: string): string => text.replace(/^\s*#.*$/gm, '');

/** The finding for a header line that is not understood. */
export const checkHeader = ({ faults }: Header): Why[] =>
  faults.map(fault => ({ kind: 'header', ...describeHeaderFault(fault) }));

/** Names of our variables, without the prefix TKLBAM_HOOKS_ or TKLBAM_HOOK_. */
const SETTINGS = ['GRACE', 'KEEP_OUTPUT', 'KEYRING', 'LOG', 'METRICS', 'STATE', 'TIMEOUT'];
const TOLD =
  'CALLER COMMAND ERROR FAILED INSPECT NAME OPERATION RESUME SCRATCH SESSION SIMULATE STATE STATUS VIEW WARNING'.split(
    ' ',
  );

/** Variables that begin like ours and mean nothing: most likely misspelt. */
export const unknownSettings = (env: Environment): Finding[] =>
  Object.keys(env)
    .filter(name => {
      const [, plural, rest = ''] = /^TKLBAM_HOOK(S?)_(.*)$/s.exec(name) ?? [];
      return plural !== undefined && !(plural === 'S' ? SETTINGS : TOLD).includes(rest);
    })
    .sort()
    .map(name => ({
      ...{ name: undefined, path: name, kind: 'setting', reason: 'it is no setting of tklbam-hooks' },
      remedy: 'see ENVIRONMENT in tklbam-hooks(8)',
    }));
