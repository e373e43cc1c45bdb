// The time limit of a hook whose runner was killed with SIGKILL. A small shell waits for the runner's end of a pipe to close, and does
// nothing else as long as it is open: it costs an appliance less than a second Node.js would, which is started only then.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { Socket } from 'node:net';
import { attempt } from '../system/errno.ts';
import { isObject } from '../system/json.ts';
import { ownWords } from '../system/self.ts';
import { findHelper } from '../system/which.ts';
import type { Trace } from '../types.ts';
import { endTraced, isTrace } from './process-tree.ts';

/**
 * Reads a line `DEADLINE PID START CGROUP ORPHAN` before a hook starts and one when it has, an empty one after it; the deadline is in
 * seconds of uptime, since hooks set the clock. At the end of input, if a hook was running, it waits for the end of its first process, or of
 * its cgroup if the runner was killed before it knew that process, or for the deadline, and then has the hook ended by the program that
 * its arguments name. All else comes by the pipe: arguments are for everyone to read.
 */
export const SCRIPT = `
sleep=$1
shift
while read -r line; do hook=$line; done
[ -n "$hook" ] || exit 0
read -r deadline pid start cgroup orphan <<END
$hook
END
uptime() { read -r now rest </proc/uptime; echo "\${now%.*}"; }
# Fields 3 and 22 of proc_pid_stat(5); the name of the program before them may hold anything.
is_running() {
    if [ "$pid" = 0 ]; then
        [ "$cgroup" != - ] || return 0
        while read -r key value; do [ "$key$value" != populated1 ] || return 0; done <"$cgroup/cgroup.events"
        return 1
    fi
    stat=
    { while IFS= read -r part || [ -n "$part" ]; do stat="$stat $part"; done <"/proc/$pid/stat"; } 2>/dev/null || return 1
    set -- \${stat##*) }
    [ "$1" != Z ] && [ "\${20}" = "$start" ]
}
while [ "$deadline" -gt "$(uptime)" ]; do is_running || exit 0; "$sleep" 1; done
"$@" "$0" <<END
$orphan
END
`;

/** A hook that has lost its runner: what the program is told on standard input, as JSON. */
interface Orphan {
  readonly trace: Trace;
  readonly graceMs: number;
}

/** The word by which the program is asked to end one; and the name of the shell. */
export const END_ORPHAN = 'tklbam-hooks-watchdog';

export interface Watchdog {
  /** With its first process unknown before it starts. */
  readonly starts: (trace: Trace, limits: { readonly timeoutMs: number; readonly graceMs: number }) => void;
  readonly ended: () => unknown;
}

/** Starts it. Undefined where there are no processes or descriptors left for it: the hook will tell. */
export function watchdog(): Watchdog | undefined {
  const pipe = open();
  if (pipe === undefined) return undefined;
  return {
    starts: (trace, { timeoutMs, graceMs }) => {
      const now = uptime();
      const { leader } = trace;
      if (now === undefined) return;
      const orphan: Orphan = { trace, graceMs };
      const deadline = Math.ceil(now + timeoutMs / 1000);
      // JSON has no line breaks, and neither blanks at its ends.
      // A cgroup with a blank in its name could not be told from the rest of the line.
      const cgroup = /^\S+$/.test(trace.cgroup ?? '') ? trace.cgroup : '-';
      const first = `${leader?.pid ?? 0} ${leader?.start ?? 0}`;
      pipe.write(`${deadline} ${first} ${cgroup} ${JSON.stringify(orphan)}\n`);
    },
    ended: () => pipe.write('\n'),
  };
}

/** The standard input of the watchdog. */
function open(): Socket | undefined {
  const [sh, sleep] = ['sh', 'sleep'].map(findHelper);
  if (sh === undefined || sleep === undefined) return undefined;
  try {
    const child = spawn(sh, ['-c', SCRIPT, END_ORPHAN, sleep, ...ownWords()], {
      cwd: '/',
      // A session of its own: what ends the runner must not end it too.
      detached: true,
      env: {},
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

/** What the program does when the shell asks it. Resolves to its exit status. */
export async function endOrphan(text: string): Promise<number> {
  const found: unknown = attempt(() => JSON.parse(text));
  if (!isOrphan(found)) return 2;
  await endTraced(found.trace, found.graceMs);
  return 0;
}

const isOrphan = (found: unknown): found is Orphan =>
  isObject(found) && typeof found.graceMs === 'number' && isTrace(found.trace);

/** Seconds since boot; undefined where there is no /proc, and so no way to find the hook's processes either. */
function uptime(): number | undefined {
  try {
    return Number.parseFloat(readFileSync('/proc/uptime', 'latin1'));
  } catch {
    return undefined;
  }
}
