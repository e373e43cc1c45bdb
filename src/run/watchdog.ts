// The time limit of a hook whose runner was killed with SIGKILL. A small shell waits for the runner's end of a pipe to close, and does
// nothing else as long as it is open: it costs an appliance less than a second Node.js would.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { Socket } from 'node:net';
import type { Step } from '../types.ts';

/**
 * Reads a line `DEADLINE GRACE STATE NAME` before each hook, an empty one after it; the deadline is in seconds of uptime, since hooks
 * set the clock, the grace in seconds. At the end of input, if a hook was running, it waits for its end or its deadline, and then ends what bears the session, state
 * and name in its environment.
 */
const SCRIPT = `
while read -r line; do hook=$line; done
[ -n "$hook" ] || exit 0
deadline=\${hook%% *} hook=\${hook#* }
grace=\${hook%% *} hook=\${hook#* }
state=\${hook%% *} name=\${hook#* }
uptime() { read -r now rest </proc/uptime; echo "\${now%.*}"; }
# Whether there was anything to send it to.
signal() {
    sent=
    for environ in $(grep -lszxF -e "TKLBAM_HOOK_SESSION=$session" /proc/[0-9]*/environ); do
        for entry in "STATE=$state" "NAME=$name"; do
            grep -qszxF -e "TKLBAM_HOOK_$entry" "$environ" || continue 2
        done
        pid=\${environ#/proc/}
        kill -s "$1" "\${pid%/*}" && sent=yes
    done
    [ -n "$sent" ]
}
session=$1
while [ "$deadline" -gt "$(uptime)" ]; do signal 0 || exit 0; sleep 1; done
signal TERM
signal CONT
deadline=$(($(uptime) + grace))
while [ "$deadline" -gt "$(uptime)" ]; do signal 0 || exit 0; sleep 1; done
for round in 1 2 3 4 5; do signal KILL || break; done
`;

export interface Watchdog {
  readonly starts: (step: Step) => void;
  readonly ended: () => unknown;
}

/** Starts it. Undefined where there are no processes or descriptors left for it: the hook will tell. */
export function watchdog(session: string): Watchdog | undefined {
  const pipe = open(session);
  if (pipe === undefined) return undefined;
  return {
    starts: ({ args: [, state], hook: { name }, timeoutMs, graceMs }) => {
      const now = uptime();
      // A line break would end the line.
      if (now === undefined || timeoutMs === undefined || name.includes('\n')) return;
      const deadline = Math.ceil(now + timeoutMs / 1000);
      pipe.write(`${deadline} ${Math.ceil(graceMs / 1000)} ${state} ${name}\n`);
    },
    ended: () => pipe.write('\n'),
  };
}

/** Its standard input. */
function open(session: string): Socket | undefined {
  try {
    const child = spawn('/bin/sh', ['-c', SCRIPT, 'tklbam-hooks-watchdog', session], {
      cwd: '/',
      // A session of its own: what ends the runner must not end it too.
      detached: true,
      env: { PATH: '/usr/bin:/bin' },
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    child.on('error', () => {});
    child.unref();
    if (!(child.stdin instanceof Socket)) return undefined;
    child.stdin.on('error', () => {});
    child.stdin.unref();
    return child.stdin;
  } catch {
    return undefined;
  }
}

/** Seconds since boot; undefined where there is no /proc, and so no way to find the hook's processes either. */
function uptime(): number | undefined {
  try {
    return Number.parseFloat(readFileSync('/proc/uptime', 'latin1'));
  } catch {
    return undefined;
  }
}
