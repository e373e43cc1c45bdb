// A directory of a session for its hooks, from its first state to the end of all that it owes: TKLBAM_HOOK_SCRATCH.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, realpathSync, rmdirSync } from 'node:fs';
import { OPERATIONS } from '../cli/grammar.ts';
import { escapeControls } from '../cli/text.ts';
import { attempt } from '../system/errno.ts';
import { mountLines } from '../system/mounts.ts';
import { findHelper, HELPER_ENV } from '../system/which.ts';
import { sessionsDirectory } from './flock.ts';
import { load } from './session-file.ts';

const PREFIX = 'scratch-';

const scratchPath = (stateDirectory: string, session: string): string =>
  `${sessionsDirectory(stateDirectory)}/${PREFIX}${session}`;

/** Throws the error of the system call that fails. */
export function makeScratch(stateDirectory: string, session: string): void {
  mkdirSync(scratchPath(stateDirectory, session), { mode: 0o700 });
}

/** The variable that names it; none if it is not there. */
export function scratchEnv(stateDirectory: string, session: string): Readonly<Record<string, string>> {
  const path = scratchPath(stateDirectory, session);
  return existsSync(path) ? { TKLBAM_HOOK_SCRATCH: path } : {};
}

/** Removes those of sessions that are over and owe nothing. For who has the locks: nobody begins one meanwhile. */
export function removeScratch(stateDirectory: string, uid: number, tell: (line: string) => void): void {
  const directory = sessionsDirectory(stateDirectory);
  const names = (attempt(() => readdirSync(directory)) ?? []).filter(name => name.startsWith(PREFIX));
  if (names.length === 0) return;
  const files = attempt(() => OPERATIONS.map(operation => load(stateDirectory, operation, uid)));
  // What cannot be read may be of one that is not over.
  if (files === undefined || files.some(({ kind }) => kind === 'unreadable' || kind === 'copy')) return;
  const kept = files
    .flatMap(file => (file.kind === 'sessions' ? file.sessions : []))
    .map(each => each.session);
  for (const name of names) {
    if (!kept.includes(name.slice(PREFIX.length))) remove(`${directory}/${name}`, tell);
  }
}

function remove(path: string, tell: (line: string) => void): void {
  if (attempt(() => rmdirSync(path) ?? true) === true) return;
  // What a hook mounted there, and forgot, is not to be emptied; rm(1) knows a bind mount from its file system as little as anybody.
  const mountinfo = attempt(() => readFileSync('/proc/self/mountinfo', 'latin1')) ?? '';
  const real = attempt(() => realpathSync(path, 'buffer').toString('latin1')) ?? path;
  const isMounted = mountLines(mountinfo).some(mount => mount.path.startsWith(`${real}/`));
  const rm = isMounted ? undefined : findHelper('rm');
  if (rm !== undefined)
    spawnSync(rm, ['-rf', '--one-file-system', '--', path], { cwd: '/', env: HELPER_ENV, stdio: 'ignore' });
  if (!existsSync(path)) return;
  const why = isMounted ? 'something is mounted in it (umount it)' : 'see what is in it';
  tell(`tklbam-hooks: cannot remove the scratch directory '${escapeControls(path)}': ${why}`);
}
