// What a program of the caller's is to have from its start, and Node.js cannot give it: small programs that set it and exec(2) the next.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { attempt } from '../system/errno.ts';
import { findHelper } from '../system/which.ts';

export interface Launch {
  /** Signals that it ignores, as under nohup(1); Node.js starts every program with the default dispositions. */
  readonly ignoredSignals: readonly NodeJS.Signals[];
  /** Whether it gets SIGTERM when we die without having ended it (PR_SET_PDEATHSIG(2const)). */
  readonly diesWithUs: boolean;
  /** Leads to the mount namespace that it is to live in; undefined for ours. */
  readonly view: string | undefined;
}

/**
 * The words in front of the program and its arguments; none, as a rule, nor where there is no such program that root alone can write to, but
 * where there is a view there are all that it takes (namespace.ts). The process keeps its pid.
 */
export function launchWords({ ignoredSignals, diesWithUs, view }: Launch, cwd: string): string[] {
  const setpriv = diesWithUs ? findHelper('setpriv') : undefined;
  const ignoring = ignoredSignals.map(signal => `--ignore-signal=${signal.slice('SIG'.length)}`);
  return [
    ...(ignoring.length === 0 ? [] : setBy(ignoring)),
    ...(setpriv === undefined ? [] : [setpriv, '--pdeathsig', 'TERM']),
    // setns(2) puts it into the root directory there; what nsenter(1) has for that in all releases is the directory here.
    ...(view === undefined
      ? []
      : [findHelper('nsenter') ?? '', `--mount=${view}`, '--', ...setBy([`--chdir=${cwd}`])]),
  ];
}

function setBy(options: readonly string[]): string[] {
  const [env, nice] = ['env', 'nice'].map(findHelper);
  // env(1) would take a path with `=` in it for a variable.
  return env === undefined || nice === undefined ? [] : [env, ...options, nice, '-n', '0'];
}

/** Below this Node.js itself would run out of descriptors. */
const FEWEST_FILES = 128;

let restored: Promise<void> | undefined;

/**
 * Node.js raises the soft limit of open files to the hard one at its start (getrlimit(2)). Takes it back to the caller's, which is the
 * parent's as a rule: hooks inherit it, and old daemons close every descriptor up to it. Resolves when that is done, once for all.
 */
export function restoreOpenFilesLimit(): Promise<void> {
  restored ??= restore();
  return restored;
}

async function restore(): Promise<void> {
  const [ours, theirs] = [softLimit('self'), softLimit(String(process.ppid))];
  if (ours === undefined || theirs === undefined || theirs >= ours) return;
  const limit = `--nofile=${Math.max(theirs, FEWEST_FILES)}:`;
  const prlimit = findHelper('prlimit');
  if (prlimit === undefined) return;
  await new Promise<void>(resolve => {
    const child = attempt(() =>
      spawn(prlimit, ['--pid', String(process.pid), limit], {
        cwd: '/',
        env: {},
        stdio: 'ignore',
      }),
    );
    if (child === undefined) return resolve();
    // Without prlimit(1), hooks run with the higher limit.
    child.on('error', () => resolve());
    child.on('exit', () => resolve());
  });
}

/** As proc_pid_limits(5) has it; undefined without /proc. */
function softLimit(pid: string): number | undefined {
  const text = attempt(() => readFileSync(`/proc/${pid}/limits`, 'latin1'));
  const [, soft] = /^Max open files\s+(\d+|unlimited)/m.exec(text ?? '') ?? [];
  return soft === undefined ? undefined : soft === 'unlimited' ? Number.POSITIVE_INFINITY : Number(soft);
}
