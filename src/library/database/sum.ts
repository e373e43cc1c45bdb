// The SHA-256 of a file's content, in hexadecimal. Each throws if it cannot be had.
import { closeSync, openSync } from 'node:fs';
import { type Ended, hasTool, run, runBeside, type Tool } from '../tool.ts';

export const sha256 = (path: string): string =>
  sumIn(
    path,
    withStdin(path, stdin => run(summer(stdin))),
  );

/** ... while something else is done. */
export const sha256Beside = async (path: string): Promise<string> =>
  sumIn(path, await withStdin(path, stdin => runBeside(summer(stdin))));

/** Where sha256sum(1) is not built upon OpenSSL, it takes three times as long as with the instructions that a processor has for it. */
const summer = (stdin: number): Tool & { readonly stdin: number } =>
  hasTool('openssl')
    ? { name: 'openssl', args: ['dgst', '-sha256', '-r'], env: { OPENSSL_CONF: '/dev/null' }, stdin }
    : { name: 'sha256sum', stdin };

/** The program has the descriptor once it is started. */
function withStdin<T>(path: string, start: (stdin: number) => T): T {
  const stdin = openSync(path, 'r');
  try {
    return start(stdin);
  } finally {
    closeSync(stdin);
  }
}

function sumIn(path: string, { status, stdout, reason }: Ended): string {
  const [, sum] = /^([0-9a-f]{64}) /.exec(stdout) ?? [];
  if (status !== 0 || sum === undefined) throw new Error(`cannot read '${path}': ${reason}`);
  return sum;
}
