// Ends a tree whose first process is gone, and its number with a stranger that leads a group; beside one that bears the tree's tag.
// Prints who is left, as JSON. Runs as root in a process namespace of its own, where the numbers of processes can be chosen.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { track } from '../../src/run/process-tree.ts';

const TAG = 'TKLBAM_HOOK_SESSION=reused';

const sleeper = (env: Record<string, string>): ChildProcess =>
  spawn('/bin/sleep', ['600'], { detached: true, env, stdio: 'ignore' });

const { child: leader, tree } = track(() => sleeper({ TKLBAM_HOOK_SESSION: 'reused' }), {
  hasOwnGroup: true,
  tag: [TAG],
});
leader.kill('SIGKILL');
await once(leader, 'exit');

const bearer = sleeper({ TKLBAM_HOOK_SESSION: 'reused' });
let stranger: ChildProcess;
do {
  // proc_sys_kernel(5): the next process gets the number after it.
  writeFileSync('/proc/sys/kernel/ns_last_pid', String((leader.pid ?? 0) - 1));
  stranger = sleeper({});
} while (stranger.pid !== leader.pid);

await tree?.signal('SIGKILL');
await once(bearer, 'exit');
const isLeft = stranger.exitCode === null && stranger.signalCode === null && stranger.kill('SIGKILL');
process.stdout.write(JSON.stringify({ stranger: isLeft ? 'left' : 'killed' }));
