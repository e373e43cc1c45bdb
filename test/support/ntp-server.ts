// A real NTP server, on 127.0.0.1 of a network namespace of its own. It never sets a clock. Only for root.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export interface NtpServer {
  /** Before a command, these words run it where 127.0.0.1 is the server and there is no other network. */
  readonly enter: readonly string[];
  readonly stop: () => void;
}

/** `directory` must be one that others can enter, for a pid file. */
export async function startNtpServer(directory: string): Promise<NtpServer> {
  const pidFile = join(directory, 'ntp-server.pid');
  const chronyd = [
    // -x: leave the clock alone. -u root: it need not change its user to do so.
    ...['chronyd', '-4', '-x', '-d', '-u', 'root', 'local stratum 10', 'allow', 'bindaddress 127.0.0.1'],
    ...['cmdport 0', 'bindcmdaddress /', `pidfile ${pidFile}`],
  ];
  // One process from spawn to chronyd, which ends with this one.
  const server = spawn(
    'setpriv',
    [
      ...['--pdeathsig', 'KILL', '--bounding-set=-sys_time', '--inh-caps=-sys_time'],
      ...['unshare', '--net', 'sh', '-c', 'ip link set lo up && exec "$@"', 'sh', ...chronyd],
    ],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let said = '';
  for (const stream of [server.stdout, server.stderr]) stream.on('data', chunk => (said += chunk));
  let failed: Error | undefined;
  server.on('error', error => (failed = error));

  for (let tries = 0; tries < 9000; tries++) {
    if (failed !== undefined || server.exitCode !== null) break;
    if (holds(pidFile, server.pid)) {
      return {
        enter: ['nsenter', `--net=/proc/${server.pid}/ns/net`],
        stop: () => server.kill('SIGKILL'),
      };
    }
    await sleep(20);
  }
  server.kill('SIGKILL');
  throw new Error(`no NTP server (packages chrony, iproute2, util-linux; root): ${failed?.message ?? said}`);
}

function holds(pidFile: string, pid: number | undefined): boolean {
  try {
    return readFileSync(pidFile, 'utf8').trim() === String(pid);
  } catch {
    return false;
  }
}
