// A Debian 12 that boots systemd, in a container. Only for root.
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { executable } from './built.ts';
import { cacheDirectory, isRoot } from './harness.ts';
import { repository } from './repository.ts';

/**
 * The lines that scripts print in it, each in a boot of its own and given as the words behind bash(1). They are run in a directory with the
 * executable and these files, by the names that they have there; the packages are installed. Nothing is left of it.
 */
export function inContainer(
  packages: readonly string[],
  files: Readonly<Record<string, string>>,
  ...boots: readonly (readonly string[])[]
): string[] {
  if (!isRoot) throw new Error('only root can boot a container');
  mkdirSync(cacheDirectory, { recursive: true, mode: 0o755 });
  const directory = mkdtempSync(join(cacheDirectory, 'container-'));
  try {
    const tree = command(join(repository, 'test/vm/tree'), 'bookworm', ...packages).trim();
    const [root, work] = [join(directory, 'root'), join(directory, 'work')];
    for (const each of [root, work]) mkdirSync(each, { mode: 0o755 });
    command('tar', '-C', root, '-xf', tree);
    copyFileSync(executable(), join(work, 'tklbam-hooks'));
    for (const [name, file] of Object.entries(files)) copyFileSync(join(repository, file), join(work, name));
    const container = join(repository, 'test/vm/container');
    return boots
      .map(words => command(container, root, work, 'bash', ...words))
      .join('')
      .split('\n');
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function command(file: string, ...args: readonly string[]): string {
  const { status, stdout } = spawnSync(file, args, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (status !== 0) throw new Error(`${file} ${args.join(' ')} ended with ${status}: ${stdout}`);
  return stdout;
}
