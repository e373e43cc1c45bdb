// NOTIFY and ON of 00-notify.conf, and what is sent. Pure.
import { asName, escapeControls } from '../../cli/text.ts';
import type { Operation } from '../../types.ts';
import { words } from '../settings.ts';

export type Target =
  | { readonly kind: 'mail'; readonly address: string }
  /** Of a service that waits for each backup, as healthchecks.io does: told of start, success and failure. */
  | { readonly kind: 'url'; readonly url: string }
  /** The configuration file of apprise(1), which names any number of services. */
  | { readonly kind: 'apprise'; readonly file: string };

export const targetsOf = (value: string | undefined): Target[] =>
  words(value).flatMap(word => parseTarget(word) ?? []);

function parseTarget(word: string): Target | undefined {
  if (/^https?:\/\//.test(word)) return URL.canParse(word) ? { kind: 'url', url: word } : undefined;
  const [, file] = /^apprise:(\/.+)$/.exec(word) ?? [];
  if (file !== undefined) return { kind: 'apprise', file };
  return /^[\w.+-]+(?:@[\w.-]+)?$/.test(word) ? { kind: 'mail', address: word } : undefined;
}

/** A rule for NOTIFY. What is wrong may be a URL with a secret in it: not shown. */
export function targetsRule(value: string): string | undefined {
  const index = words(value).findIndex(word => parseTarget(word) === undefined);
  return index < 0
    ? undefined
    : `has at place ${index + 1} neither a mail address, nor http:// or https://, nor apprise:/FILE`;
}

/** A rule for ON. */
export function eventsRule(value: string): string | undefined {
  const bad = words(value).find(word => !['failure', 'warning', 'success'].includes(word));
  return bad === undefined ? undefined : `has '${bad}', and can only have failure, warning and success`;
}

export interface News {
  readonly operation: Operation;
  /** What the session is called. */
  readonly name: string;
  /** What went wrong, a line; empty if it went well. */
  readonly error: string;
  /** File name of the hook that failed; empty if it was none. */
  readonly failed: string;
  /** What was no reason to fail, a line; empty if nothing was. */
  readonly warning: string;
  readonly host: string;
}

/** A line. */
export function subject({ operation, name, error, warning, host }: News): string {
  const end = error !== '' ? 'FAILED' : warning === '' ? 'was good' : 'was good, with a warning';
  return `${escapeControls(host)}: the ${operation} '${asName(name)}' ${end}`;
}

export function body({ operation, name, error, failed, warning, host }: News): string {
  const what = `The ${operation} '${asName(name)}' of ${escapeControls(host)}`;
  if (error === '')
    return `${what} was good${warning === '' ? '.' : `, with a warning:\n${escapeControls(warning)}`}\n`;
  const hook = failed === '' ? '' : `The hook that failed: ${escapeControls(failed)}\n`;
  return `${what} failed:\n${escapeControls(error)}\n${hook}\n'tklbam-hooks status' there says more.\n`;
}

/** As RFC 5322 and RFC 2047 have it. */
export function mail(to: readonly string[], news: News): string {
  const text = subject(news);
  const title = /^[\x20-\x7e]*$/.test(text) ? text : `=?UTF-8?B?${Buffer.from(text).toString('base64')}?=`;
  const headers = [
    `To: ${to.join(', ')}`,
    `Subject: ${title}`,
    'Auto-Submitted: auto-generated',
    'MIME-Version: 1.0',
    'Content-Type: text/plain; charset=utf-8',
    'Content-Transfer-Encoding: 8bit',
  ];
  return `${headers.join('\n')}\n\n${body(news)}`;
}

/** Where a service that waits for backups hears of their start or failure: below the path of its URL, before a query. */
export function urlOf(url: string, event: 'start' | 'success' | 'fail'): string {
  if (event === 'success') return url;
  const place = new URL(url);
  place.pathname = `${place.pathname.replace(/\/$/, '')}/${event}`;
  return place.href;
}

/** Options of curl(1), as it reads them from its standard input: what is in its arguments, everybody can read. */
export function curlOptions(url: string, text: string, isPatient: boolean): string {
  const quote = (value: string): string =>
    `"${value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')}"`;
  return [
    ...[
      `url = ${quote(url)}`,
      `data-raw = ${quote(text)}`,
      'silent',
      'show-error',
      'fail',
      'output = "/dev/null"',
    ],
    ...['proto = "=http,https"', 'max-time = 10'],
    ...(isPatient ? ['retry = 20', 'retry-all-errors', 'retry-max-time = 900'] : []),
  ]
    .map(line => `${line}\n`)
    .join('');
}
