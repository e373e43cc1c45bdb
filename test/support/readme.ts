import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { repository } from './repository.ts';

const readme = readFileSync(join(repository, 'README.md'), 'utf8');

/** The example that begins so, dedented. */
export function readmeBlock(start: string): string {
  const block = readme.split('\n\n').find(paragraph => paragraph.startsWith(`    ${start}`));
  if (block === undefined) throw new Error(`README has no example that begins with '${start}'`);
  return `${block.trimEnd().replaceAll(/^ {4}/gm, '')}\n`;
}

/** The lines that install the package from its repository. */
export function installationLines(): string[] {
  const [, block = ''] = /## For the administrator\n[\s\S]*?\n\n((?: {4}.*\n)+)/.exec(readme) ?? [];
  return block.replaceAll(/^ {4}/gm, '').trimEnd().split('\n');
}
