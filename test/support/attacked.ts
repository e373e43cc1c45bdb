// attacked.ts PROGRAM: how long endings take, and how much memory, without attackers and beside them. Prints JSON. Runs as root, in
// process and mount namespaces of its own, which take all that it starts with them when they end.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** What an ending came to. */
export interface Measured {
  readonly status: number | null;
  readonly stderr: string;
  readonly seconds: number;
  /** Of the largest process, at its peak. */
  readonly kibibytes: number;
}

export type Scenario = 'limit' | 'recover' | 'error';

export interface Answer {
  readonly attackers: readonly string[];
  /** Whether hooks had cgroups of their own. */
  readonly hadCgroup: boolean;
  readonly without: Readonly<Record<Scenario, Measured>>;
  readonly beside: Readonly<Record<Scenario, Measured>>;
}

/** Of each the quickest counts: what attackers do, they do each time, and what else the machine does, it does not. */
const ROUNDS: Readonly<Record<Scenario, number>> = { limit: 2, recover: 5, error: 5 };
/** What takes longer is taken to wait for ever. */
const FOREVER_MS = 200_000;
/** Of hooks, in seconds: longer ones where the machine is too busy for attackers to be there in time. */
const LIMITS = [4, 20, 100];

interface Place {
  readonly program: string;
  /** Where every user can go, whatever the modes of the directories here. */
  readonly scratch: string;
  readonly limitSeconds: number;
  /** Called when a hook runs. */
  readonly attack: () => Promise<void>;
}

let round = 0;

async function main(program: string): Promise<Answer> {
  const scratch = '/mnt';
  spawnSync('mount', ['-t', 'tmpfs', '-o', 'mode=0755', 'none', scratch]);
  const attack = prepareAttack(scratch);
  for (const limitSeconds of LIMITS) {
    const beside = await measureAll({ program, scratch, limitSeconds, attack: attack.start });
    if (beside === undefined) continue;
    attack.stop();
    const without = await measureAll({ program, scratch, limitSeconds, attack: async () => {} });
    if (without === undefined) continue;
    const hadCgroup = readFileSync(join(scratch, 'cgroup'), 'utf8').includes('/tklbam-hooks-');
    return { attackers: attack.names, hadCgroup, without, beside };
  }
  throw new Error('the machine is too busy for an attack');
}

/** Undefined if an attack came too late. */
async function measureAll(place: Place): Promise<Record<Scenario, Measured> | undefined> {
  const first = await quickest('limit', () => limit(place));
  if (first === undefined) return undefined;
  const second = await quickest('recover', () => recover(place));
  const third = await quickest('error', () => error(place));
  return second && third && { limit: first, recover: second, error: third };
}

async function quickest(
  scenario: Scenario,
  measure: () => Promise<Measured | undefined>,
): Promise<Measured | undefined> {
  let found: Measured | undefined;
  for (let each = 0; each < ROUNDS[scenario]; each++) {
    round++;
    const measured = await measure();
    if (measured === undefined) return undefined;
    if (found !== undefined && measured.status !== found.status)
      throw new Error(`${scenario} ended with ${found.status}, and then with ${measured.status}`);
    const kibibytes = Math.max(measured.kibibytes, found?.kibibytes ?? 0);
    const seconds = Math.min(measured.seconds, found?.seconds ?? measured.seconds);
    found = { ...measured, seconds, kibibytes };
  }
  return found;
}

/** A hook that reaches its limit, and has left a process whose parent is gone. */
async function limit({ program, scratch, limitSeconds, attack }: Place): Promise<Measured | undefined> {
  const hooks = place(
    scratch,
    `cat /proc/self/cgroup >${scratch}/cgroup\n(setsid sleep 600 &)\necho ready\nsleep 600\n`,
  );
  const run = timed(scratch, [
    program,
    'run',
    'backup',
    'pre',
    '--hooks',
    hooks,
    '--timeout',
    `${limitSeconds}s`,
  ]);
  await says(run.child, 'ready');
  await attack();
  return run.child.exitCode === null ? run.measured : undefined;
}

/** The next run after the guardian was killed while a hook ran. */
async function recover({ program, scratch, attack }: Place): Promise<Measured> {
  const hooks = place(scratch, 'if [ "$2" = pre ]; then echo ready; sleep 600; fi\n');
  const args = ['wrap', 'backup', '--hooks', hooks, '--', 'true'];
  const guardian = spawn(program, args, {
    cwd: '/',
    env: environment(scratch),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  await says(guardian, 'ready');
  await attack();
  guardian.kill('SIGKILL');
  await once(guardian, 'exit');
  return timed(scratch, [program, 'recover']).measured;
}

/** A backup that fails, whose output goes to a pipe. The attackers of the last recovery are there. */
async function error({ program, scratch }: Place): Promise<Measured> {
  const hooks = place(scratch, 'exit 0\n');
  const words = ['sh', '-c', '"$@" | cat', 'sh', program, 'wrap', 'backup', '--hooks', hooks, '--', 'false'];
  return timed(scratch, words).measured;
}

function place(scratch: string, body: string): string {
  const hooks = join(scratch, 'hooks.d');
  rmSync(hooks, { recursive: true, force: true });
  mkdirSync(hooks, { mode: 0o755 });
  writeFileSync(join(hooks, 'a'), `#!/bin/sh\n${body}`);
  chmodSync(join(hooks, 'a'), 0o755);
  return hooks;
}

const environment = (scratch: string): Record<string, string> => ({
  PATH: '/usr/bin:/bin',
  TKLBAM_REGISTRY: '/nonexistent',
  // One of its own for each: what never ends holds its lock for ever.
  TKLBAM_HOOKS_STATE: join(scratch, `state-${round}`),
  TKLBAM_HOOKS_LOG: join(scratch, 'log'),
});

function timed(
  scratch: string,
  command: readonly string[],
): { readonly child: ChildProcess; readonly measured: Promise<Measured> } {
  const times = join(scratch, 'times');
  const child = spawn('/usr/bin/time', ['-q', '-f', '%e %M', '-o', times, ...command], {
    cwd: '/',
    env: environment(scratch),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stderr = '';
  child.stderr.on('data', data => {
    stderr += data;
  });
  const limit = AbortSignal.timeout(FOREVER_MS);
  const measured = once(child, 'exit', { signal: limit }).then(
    ([status]): Measured => {
      const [seconds = Number.NaN, kibibytes = Number.NaN] = readFileSync(times, 'utf8')
        .split(' ')
        .map(Number);
      return { status, stderr, seconds, kibibytes };
    },
    (): Measured => ({ status: null, stderr, seconds: FOREVER_MS / 1000, kibibytes: 0 }),
  );
  return { child, measured };
}

/** Each attacker as a user of its own, with no right at all. */
function prepareAttack(scratch: string): {
  readonly names: readonly string[];
  readonly start: () => Promise<void>;
  readonly stop: () => void;
} {
  const device = join(scratch, 'fuse');
  // As /dev/fuse is on Debian: for everyone.
  spawnSync('mknod', ['--mode=0666', device, 'c', '10', '229']);
  const directory = join(scratch, 'mounted');
  mkdirSync(directory, { mode: 0o755 });
  const programs = join(scratch, 'attacks');
  cpSync(new URL('../attacks', import.meta.url), programs, { recursive: true });
  const attackers: readonly (readonly [string, ...string[]])[] = [
    ['big-environ'],
    ['many-descriptors'],
    ['many-processes'],
    ['blocked-environ', device, directory],
  ];
  let running: readonly ChildProcess[] = [];
  const stop = (): void => {
    for (const each of running) each.kill('SIGKILL');
  };
  const start = async (): Promise<void> => {
    stop();
    running = attackers.map(([name, ...args], index) => {
      const user = 64900 + index;
      const words = [`--reuid=${user}`, `--regid=${user}`, '--clear-groups'];
      return spawn('setpriv', [...words, join(programs, name), ...args], {
        cwd: '/',
        stdio: ['ignore', 'pipe', 'pipe'],
      });
    });
    await Promise.all(running.map(each => says(each, 'ready')));
  };
  return { names: attackers.map(([name]) => name), start, stop };
}

/** Hooks of `wrap` write to its standard error. */
async function says(child: ChildProcess, text: string): Promise<void> {
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', data => {
      said += data;
    });
  }
  for (let waited = 0; !said.includes(text); waited += 10) {
    if (waited > FOREVER_MS || child.exitCode !== null)
      throw new Error(`'${text}' was not said, but: ${said}`);
    await sleep(10);
  }
}

const [, , program] = process.argv;
if (program !== undefined && existsSync(program)) {
  process.stdout.write(`${JSON.stringify(await main(program))}\n`);
  process.exit();
}
