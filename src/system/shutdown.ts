// Whether the machine is going down: services cannot be started then, and that they fail says nothing.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

/** By systemctl(1), or the runlevel(8) of sysvinit; false where neither can say. */
export function isGoingDown(): boolean {
  if (existsSync('/run/systemd/system')) {
    return ask('/usr/bin/systemctl', ['is-system-running']).startsWith('stopping');
  }
  const [, level] = ask('/sbin/runlevel', []).split(' ');
  return level?.trim() === '0' || level?.trim() === '6';
}

const ask = (file: string, args: readonly string[]): string =>
  spawnSync(file, args, {
    encoding: 'utf8',
    cwd: '/',
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' },
    stdio: ['ignore', 'pipe', 'ignore'],
    timeout: 10_000,
    killSignal: 'SIGKILL',
  }).stdout ?? '';
