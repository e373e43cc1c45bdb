// What the build made, and not of older sources than those that are here.
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { repository } from './repository.ts';

/** Node.js as it is in the executable, whatever runs the tests. */
export const node = join(repository, `node_modules/node-linux-${process.arch}/bin/node`);

const PROGRAM = ['src', 'build', 'package.json', 'package-lock.json'];

export const bundle = (): string => built('dist/tklbam-hooks.cjs', PROGRAM, 'build');

export const executable = (): string =>
  built('dist/tklbam-hooks', [...PROGRAM, 'dist/tklbam-hooks.cjs'], 'build');

/** The Debian package. */
export const debFile = (name: string): string =>
  built(`dist/${name}`, [...PROGRAM, 'dist/tklbam-hooks', 'packaging', 'hooks.d', 'CHANGELOG.md'], 'deb');

/**
 * The path of what `npm run SCRIPT` makes of these files, and all files of these directories. Throws if it is missing, or older than
 * any of them.
 */
export function built(
  product: string,
  sources: readonly string[],
  script: string,
  root = repository,
): string {
  const path = join(root, product);
  const remedy = `run 'npm run ${script}' first`;
  const made = statSync(path, { throwIfNoEntry: false });
  if (made === undefined) throw new Error(`${product} is missing: ${remedy}`);
  for (const file of sources.flatMap(source => filesOf(root, source))) {
    if (statSync(join(root, file)).mtimeMs > made.mtimeMs)
      throw new Error(`${product} is older than ${file}: ${remedy}`);
  }
  return path;
}

function filesOf(root: string, source: string): string[] {
  if (!statSync(join(root, source)).isDirectory()) return [source];
  return readdirSync(join(root, source), { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => join(entry.parentPath, entry.name).slice(root.length + 1));
}
