// The time limit of a hook whose runner was killed with SIGKILL. A small shell waits for the runner's end of a pipe to close, and does
// nothing else as long as it is open: it costs an appliance less than a second Node.js would, which is started only then.
import { spawn } from 'node:child_process';
import { Socket } from 'node:net';
import { attempt } from '../system/errno.ts';
import { isObject } from '../system/json.ts';
import { elapsedMs, uptime } from '../system/machine.ts';
import { ownWords } from '../system/self.ts';
import { findHelper } from '../system/which.ts';
import type { Trace } from '../types.ts';
import { END_ORPHAN } from './errands.ts';
import { endTraced, isTrace } from './process-tree.ts';

/**
 * Has `DEADLINE PID START ORPHAN` of the hook that runs in its environment, and reads a line like it for each further one, and an empty
 * one when one has ended; the deadline is in seconds of uptime, since hooks set the clock. At the end of input, if a hook was running, it
 * waits for the end of its first process or for the deadline, and then has the hook ended by the program that its arguments name. What it is
 * told is not in its arguments, which are for everyone to read.
 */
export const SCRIPT = `
sleep=$1
shift
while read -r line; do hook=$line; done
[ -n "$hook" ] || exit 0
read -r deadline pid start orphan <<END
$hook
END
uptime() { read -r now rest </proc/uptime; echo "\${now%.*}"; }
# Fields 3 and 22 of proc_pid_stat(5); the name of the program before them may hold anything.
is_running() {
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

export interface Watchdog {
  readonly starts: (orphan: Orphan, timeoutMs: number) => void;
  readonly ended: () => void;
}

/** How long a hook runs before there is a process that holds its limit: most have ended by then, and would have waited for it. */
const WITHOUT_MS = 100;

export function watchdog(): Watchdog {
  let pipe: Socket | undefined;
  let timer: NodeJS.Timeout | undefined;
  let isTold = false;
  return {
    starts: (orphan, timeoutMs) => {
      const deadlineMs = elapsedMs() + timeoutMs;
      timer = setTimeout(() => {
        const line = describe(orphan, deadlineMs - elapsedMs());
        if (line === undefined) return;
        // Undefined where there are no processes or descriptors left for it: the hook will tell.
        if (pipe === undefined) pipe = open(line);
        else pipe.write(`${line}\n`);
        isTold = true;
      }, WITHOUT_MS).unref();
    },
    ended: () => {
      clearTimeout(timer);
      if (isTold) pipe?.write('\n');
      isTold = false;
    },
  };
}

/** What SCRIPT reads of a hook. Undefined where there is no /proc, and so no way to find the hook's processes either. */
function describe(orphan: Orphan, restMs: number): string | undefined {
  const now = uptime();
  const { leader } = orphan.trace;
  if (now === null || leader === null) return undefined;
  // JSON has no line breaks, and neither blanks at its ends.
  return `${Math.ceil(now + restMs / 1000)} ${leader.pid} ${leader.start} ${JSON.stringify(orphan)}`;
}

/** Starts it, with the hook that runs. Its standard input. */
function open(hook: string): Socket | undefined {
  const [sh, sleep] = ['sh', 'sleep'].map(findHelper);
  if (sh === undefined || sleep === undefined) return undefined;
  try {
    const child = spawn(sh, ['-c', SCRIPT, END_ORPHAN, sleep, ...ownWords()], {
      cwd: '/',
      // A session of its own: what ends the runner must not end it too.
      detached: true,
      // Not by the pipe: if we are killed before that is written, nobody holds the limit.
      env: { hook },
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
