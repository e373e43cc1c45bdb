import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { repository } from './repository.ts';

/** The lines that install the package from its repository. */
export function installationLines(): string[] {
  const readme = readFileSync(join(repository, 'README.md'), 'utf8');
  const [, block = ''] = /## For the administrator\n[\s\S]*?\n\n((?: {4}.*\n)+)/.exec(readme) ?? [];
  return block.replaceAll(/^ {4}/gm, '').trimEnd().split('\n');
}
