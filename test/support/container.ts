// A Debian that boots systemd, in a container. Only for root.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { executable } from './built.ts';
import { cacheDirectory, isRoot } from './harness.ts';
import { repository } from './repository.ts';

/**
 * The lines that scripts print in it, each in a boot of its own and given as the words behind bash(1). They are run in a directory with the
 * executable and these files, by the names that they have there; the packages are installed. Nothing is left of it.
 */
export async function inContainer(
  suite: string,
  packages: readonly string[],
  files: Readonly<Record<string, string>>,
  ...boots: readonly (readonly string[])[]
): Promise<string[]> {
  if (!isRoot) throw new Error('only root can boot a container');
  mkdirSync(cacheDirectory, { recursive: true, mode: 0o755 });
  const directory = mkdtempSync(join(cacheDirectory, 'container-'));
  try {
    const tree = (await command(join(repository, 'test/vm/tree'), suite, ...packages)).trim();
    const [root, work] = [join(directory, 'root'), join(directory, 'work')];
    for (const each of [root, work]) mkdirSync(each, { mode: 0o755 });
    await command('tar', '-C', root, '-xf', tree);
    copyFileSync(executable(), join(work, 'tklbam-hooks'));
    for (const [name, file] of Object.entries(files)) copyFileSync(join(repository, file), join(work, name));
    const container = join(repository, 'test/vm/container');
    const said: string[] = [];
    for (const words of boots) said.push(await command(container, root, work, 'bash', ...words));
    return said.join('').split('\n');
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function command(file: string, ...args: readonly string[]): Promise<string> {
  const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const [stdout, status] = await Promise.all([text(child.stdout), ended(child)]);
  if (status !== 0) throw new Error(`${file} ${args.join(' ')} ended with ${status}: ${stdout}`);
  return stdout;
}

async function ended(child: ChildProcess): Promise<number | string> {
  const [code, signal]: (number | string | null)[] = await once(child, 'close');
  return code ?? signal ?? '';
}
