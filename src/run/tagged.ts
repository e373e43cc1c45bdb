// Which processes bear entries in their environment. Whose it is decides how large that is, and how long it takes to read, be it for
// ever (its memory map can wait for a file system of its owner's): others read it, and are not waited for.
import { spawn } from 'node:child_process';
import type { Readable } from 'node:stream';
import { findHelper } from '../system/which.ts';

/** The most bytes of an environment that are read: execve(2) allows less, with the usual limit on the stack. */
const MOST_BYTES = 4 << 20;
const READERS = 8;

/**
 * Those that bear all entries, and those that were asked at all before the limit, in milliseconds. The first of them are asked
 * first.
 */
export async function tagged(
  pids: readonly number[],
  entries: readonly string[],
  limitMs: number,
): Promise<{ readonly found: readonly number[]; readonly asked: readonly number[] }> {
  const head = findHelper('head');
  if (head === undefined) return { found: [], asked: [] };
  const limit = AbortSignal.timeout(Math.ceil(limitMs));
  const [found, asked]: [number[], number[]] = [[], []];
  const rest = [...pids];
  const readOn = async (): Promise<void> => {
    for (let pid = rest.shift(); pid !== undefined && !limit.aborted; pid = rest.shift()) {
      asked.push(pid);
      if (await bears(head, pid, entries, limit)) found.push(pid);
    }
  };
  await Promise.all(Array.from({ length: READERS }, readOn));
  return { found, asked };
}

/** False if that is not known before the limit. */
function bears(head: string, pid: number, entries: readonly string[], limit: AbortSignal): Promise<boolean> {
  const missing = new Set(entries.map(each => Buffer.from(`\0${each}\0`)));
  const longest = Math.max(...[...missing].map(each => each.length));
  const child = spawn(head, ['-c', String(MOST_BYTES), '--', `/proc/${pid}/environ`], {
    cwd: '/',
    env: {},
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  // Undefined where no descriptors are left, whatever its type says.
  const output: Readable | undefined = child.stdout;
  return new Promise(resolve => {
    // An entry may begin in one piece and end in the next.
    let tail = Buffer.from('\0');
    output?.on('data', (data: Buffer) => {
      const piece = Buffer.concat([tail, data]);
      for (const each of missing) if (piece.includes(each)) missing.delete(each);
      tail = piece.subarray(-longest);
    });
    const end = (): void => {
      limit.removeEventListener('abort', end);
      output?.destroy();
      // It may not die of that, but no longer concerns us.
      child.kill('SIGKILL');
      child.unref();
      resolve(missing.size === 0);
    };
    output?.on('end', end);
    child.on('error', end);
    limit.addEventListener('abort', end);
  });
}
