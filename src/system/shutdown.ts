// Whether the machine is going down: services cannot be started then, and that they fail says nothing.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { findHelper, HELPER_ENV } from './which.ts';

/** By systemctl(1), or the runlevel(8) of sysvinit; false where neither can say. */
export function isGoingDown(): boolean {
  if (existsSync('/run/systemd/system')) {
    return ask('systemctl', ['is-system-running']).startsWith('stopping');
  }
  const [, level] = ask('runlevel', []).split(' ');
  return level?.trim() === '0' || level?.trim() === '6';
}

function ask(name: string, args: readonly string[]): string {
  const file = findHelper(name);
  if (file === undefined) return '';
  const options = { cwd: '/', env: HELPER_ENV, timeout: 10_000, killSignal: 'SIGKILL' } as const;
  const { stdout } = spawnSync(file, args, {
    ...options,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  return stdout ?? '';
}
