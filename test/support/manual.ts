// The manual pages, and what they show.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { repository } from './repository.ts';

const packaging = join(repository, 'packaging');

/** `name` is that of the file, such as `tklbam-hooks.8`. */
export const MANUAL_PAGES = readdirSync(packaging)
  .filter(name => /\.[1-8]$/.test(name))
  .map(name => ({ name, text: readFileSync(join(packaging, name), 'utf8') }));

/** Each block between .EX and .EE of that page, as it is read. */
export function manualBlocks(page: string): string[] {
  const text = MANUAL_PAGES.find(({ name }) => name === page)?.text;
  if (text === undefined) throw new Error(`there is no manual page ${page}`);
  return [...text.matchAll(/^\.EX\n(.*?)^\.EE$/gms)].map(([, block = '']) =>
    block
      .replaceAll(/^\.B "(.*)"$/gm, '$1')
      .replaceAll(/\\f[IPB]/g, '')
      .replaceAll('\\-', '-')
      .replaceAll('\\(dq', '"')
      .replaceAll('\\(ga', '`')
      .replaceAll('\\e', '\\'),
  );
}
