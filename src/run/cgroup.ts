// A control group (cgroups(7), version 2) for all that a hook or a command starts: nothing forks or execs its way out of it, whatever
// it is called and however quickly it does so, and nobody else gets into it.

import { mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { attempt } from '../system/errno.ts';
import { bootId } from '../system/machine.ts';
import { isAlive, send, stat } from '../system/proc.ts';
import { ownCgroup } from './cgroup-home.ts';

export interface Cgroup {
  /** Its directory. */
  readonly path: string;
  /** Whether any process is in it, zombies apart. */
  readonly isPopulated: () => boolean;
  /** Pids in it and in the cgroups below it. */
  readonly members: () => readonly number[];
  /** Sends the signals to each process; none can fork or end meanwhile. */
  readonly signal: (signals: readonly NodeJS.Signals[]) => void;
  /** What is left goes to the cgroup that it would have been in without us, and ours is removed. */
  readonly release: () => void;
}

/**
 * A new one, below our own: there the limits of the caller's unit hold for it, systemd counts it to that unit, removes it with that at the
 * latest, and touches no process in it but to end the whole unit. Undefined where there is no cgroup v2, or no right to make one.
 */
export function makeCgroup(): Cgroup | undefined {
  const home = ownCgroup();
  if (home === undefined) return undefined;
  if (!swept.has(home)) sweep(home);
  swept.add(home);
  const path = `${home}/${PREFIX}${process.pid}-${ownStart()}-${++count}`;
  try {
    mkdirSync(path);
  } catch {
    return undefined;
  }
  return cgroup(path);
}

/** The cgroup that a process which is gone has made; undefined if it is gone too. */
export const openCgroup = (path: string): Cgroup | undefined =>
  NAME.test(path) && read(`${path}/cgroup.events`) !== '' ? cgroup(path) : undefined;

/**
 * Calls `spawn` while we are in the cgroup ourselves, so that what it starts is in there from its first instruction, with no shell before
 * it and no moment to fork in. `isInside` if that was so, and we are out of it again.
 */
export function spawnInside<T>(
  { path }: Cgroup,
  spawn: () => T,
): { readonly child: T; readonly isInside: boolean } {
  if (!move(0, path)) return { child: spawn(), isInside: false };
  let child: T;
  let isInside = false;
  try {
    child = spawn();
  } finally {
    isInside = move(0, homeOf(path));
  }
  return { child, isInside };
}

const PREFIX = 'tklbam-hooks-';
/** Names of our cgroups: pid and start of the maker are in them. */
const NAME = new RegExp(`/${PREFIX}(\\d+)-(\\d+)-\\d+$`);
let count = 0;
let start: number | undefined;

function ownStart(): number | undefined {
  start ??= stat(process.pid)?.start;
  return start;
}

/** Where we have been, and looked for what is left. */
const swept = new Set<string>();

function cgroup(path: string): Cgroup {
  return {
    path,
    isPopulated: () => /^populated 1$/m.test(read(`${path}/cgroup.events`)),
    members: () => members(path),
    signal: names => {
      // Since Linux 5.14.
      if (names.includes('SIGKILL') && write(`${path}/cgroup.kill`, '1')) return;
      frozen(path, () => {
        for (const pid of members(path)) for (const name of names) send(pid, name);
      });
    },
    release: () => {
      // As a rule nobody is left in it.
      if (removeDirectory(path)) return;
      const home = homeOf(path);
      // Read again: a fork may have been missed.
      for (let round = 0; round < RELEASE_ROUNDS; round++) {
        const left = pids(path);
        if (left.length === 0) break;
        for (const pid of left) move(pid, home);
      }
      remove(path);
    },
  };
}

const RELEASE_ROUNDS = 20;

/** Since Linux 5.2. Processes that are in an uninterruptible sleep do not freeze, and do not fork either. */
function frozen(path: string, work: () => void): void {
  const isFreezing = write(`${path}/cgroup.freeze`, '1');
  try {
    for (let ms = 0; isFreezing && ms < FREEZE_MS && !/^frozen 1$/m.test(read(`${path}/cgroup.events`)); ms++)
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    work();
  } finally {
    // Also if it was frozen by a process that was killed in the midst of it.
    write(`${path}/cgroup.freeze`, '0');
  }
}

const FREEZE_MS = 50;

/** Pids in the cgroup, and in those below it: a hook that calls us has its own hooks there. */
const members = (path: string): number[] => [path, ...below(path)].flatMap(pids);

/** Pids of a list; processes of other namespaces are 0 in it. */
const pids = (path: string): number[] =>
  read(`${path}/cgroup.procs`)
    .split('\n')
    .map(Number)
    .filter(pid => pid > 0);

const below = (path: string): string[] =>
  (attempt(() => readdirSync(path, { withFileTypes: true })) ?? [])
    .filter(each => each.isDirectory())
    .map(each => `${path}/${each.name}`)
    .flatMap(each => [each, ...below(each)]);

/** Removes a cgroup, those below it first. One that holds a process stays. */
function remove(path: string): void {
  for (const each of [path, ...below(path)].toReversed()) removeDirectory(each);
}

function removeDirectory(path: string): boolean {
  try {
    rmdirSync(path);
    return true;
  } catch {
    return false;
  }
}

/** Removes what runners that were killed, and daemons that outlived them, have left behind. */
function sweep(home: string): void {
  for (const name of attempt(() => readdirSync(home)) ?? []) {
    const [, pid, start] = NAME.exec(`/${name}`) ?? [];
    // The kernel's own files.
    if (pid === undefined) continue;
    const maker = { pid: Number(pid), start: Number(start), boot: bootId() };
    if (maker.pid === process.pid || !isAlive(maker)) remove(`${home}/${name}`);
  }
}

const homeOf = (path: string): string => path.slice(0, path.lastIndexOf('/'));

/** Moves a process into the cgroup; 0 is ourselves. */
const move = (pid: number, path: string): boolean => write(`${path}/cgroup.procs`, String(pid));

const read = (path: string): string => attempt(() => readFileSync(path, 'utf8')) ?? '';

function write(path: string, text: string): boolean {
  try {
    // Not created: where there is no such file, the kernel lacks it.
    writeFileSync(path, text, { flag: 'r+' });
    return true;
  } catch {
    return false;
  }
}
