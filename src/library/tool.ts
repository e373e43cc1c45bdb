// The system programs that ready hooks have their work done by.
import { spawnSync } from 'node:child_process';
import { escapeControls } from '../cli/text.ts';
import { findHelper, HELPER_ENV } from '../system/which.ts';

export interface Ended {
  /** Null if it could not be started or was killed. */
  readonly status: number | null;
  readonly stdout: string;
  /** Why it failed, in a line: the last one that it wrote to standard error, or how it ended. */
  readonly reason: string;
}

export const hasTool = (name: string): boolean => findHelper(name) !== undefined;

/** Runs a program of the standard directories, and waits for its end. Its standard input is empty. */
export function runTool(name: string, ...args: readonly string[]): Ended {
  const program = findHelper(name);
  if (program === undefined) return { status: null, stdout: '', reason: `${name} is not installed` };
  const { status, signal, error, stdout, stderr } = spawnSync(program, args, {
    cwd: '/',
    env: HELPER_ENV,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    maxBuffer: 64 << 20,
  });
  const said = (stderr ?? '').split('\n').filter(line => line.trim() !== '');
  const how = error?.message ?? (signal === null ? `status ${status}` : `killed by ${signal}`);
  return { status, stdout: stdout ?? '', reason: escapeControls(said.at(-1)?.trim() ?? `${name}: ${how}`) };
}

/** Nothing else happens meanwhile: a hook is a process of its own. */
export function pause(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}
