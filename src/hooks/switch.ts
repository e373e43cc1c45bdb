// Hooks on and off: the executable bit of a local file, and a mask before one of the profile.
import { closeSync, constants, fchmodSync, fstatSync, openSync, symlinkSync, unlinkSync } from 'node:fs';
import { didYouMean, suggest } from '../cli/text.ts';
import { describeErrno, errnoOf } from '../system/errno.ts';
import type { Candidate, HookSource } from '../types.ts';
import { discover } from './discover.ts';
import { isPassedOver } from './judge.ts';

export type Switched =
  | { readonly kind: 'done' | 'already'; readonly path: string; readonly how: string }
  | { readonly kind: 'failed'; readonly path: string; readonly reason: string; readonly remedy: string };

/** Lets a hook run: `chmod +x` for who may read it, or the end of a mask before one of the profile. */
export function switchOn(sources: readonly HookSource[], name: string): Switched {
  const { path, local, profile, near } = find(sources, name);
  if (isPassedOver(name)) return failed(path, 'no file of such a name is run', 'rename it');
  if (local === undefined) {
    if (profile === undefined) return failed(path, `there is no such hook${near}`, "see 'tklbam-hooks list'");
    if (isExecutable(profile)) return { kind: 'already', path: profile.path, how: 'is enabled' };
    return failed(profile.path, 'the profile has it switched off', `cp -p it to ${path} to have it run`);
  }
  if (isMask(local)) {
    if (profile === undefined) return failed(path, 'it is empty, so nothing would run', 'write it first');
    return attempt(path, 'enabled, its mask is gone', () => unlinkSync(path));
  }
  return changeMode(local, 'enabled', mode => mode | ((mode & 0o444) >> 2));
}

/** Keeps a hook from running: `chmod -x`, which dpkg keeps over upgrades, or a mask before one of the profile. */
export function switchOff(sources: readonly HookSource[], name: string): Switched {
  const { path, local, profile, near } = find(sources, name);
  if (local !== undefined) {
    if (isMask(local)) return { kind: 'already', path, how: 'is disabled' };
    return changeMode(local, 'disabled', mode => mode & ~0o111);
  }
  if (profile === undefined) return failed(path, `there is no such hook${near}`, "see 'tklbam-hooks list'");
  return attempt(path, 'disabled, by a mask before the one of the profile', () =>
    symlinkSync('/dev/null', path),
  );
}

function find(sources: readonly HookSource[], name: string) {
  const hooks = sources.flatMap(source => discover(source).candidates);
  const inSource = (kind: HookSource['kind']): Candidate | undefined =>
    hooks.find(hook => hook.source.kind === kind && hook.name === name);
  const names = hooks.map(hook => hook.name).filter(each => !isPassedOver(each));
  const directory = sources.find(({ kind }) => kind === 'local')?.directory ?? '';
  return {
    path: `${directory}/${name}`,
    local: inSource('local'),
    profile: inSource('profile'),
    /** For a message that there is none of that name. */
    near: didYouMean(suggest(name, names)),
  };
}

function changeMode(hook: Candidate, how: string, change: (mode: number) => number): Switched {
  const { path, link, file } = hook;
  if (link !== undefined) {
    const remedy = `cp --remove-destination '${link}' over it to have one of its own`;
    return failed(path, `it is a link to '${link}', and the mode is that of the file there`, remedy);
  }
  if ('error' in file) return failed(path, describeErrno(file.error), 'mend that');
  if (file.type !== 'file') return failed(path, 'it is no file', "see 'tklbam-hooks list'");
  if (change(file.mode) === file.mode) return { kind: 'already', path, how: `is ${how}` };
  return attempt(path, how, () => {
    // By descriptor: the name may lead elsewhere by now.
    const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      fchmodSync(fd, change(fstatSync(fd).mode & 0o7777));
    } finally {
      closeSync(fd);
    }
  });
}

function attempt(path: string, how: string, act: () => void): Switched {
  try {
    act();
    return { kind: 'done', path, how };
  } catch (error) {
    const code = errnoOf(error);
    const remedy = code === 'EACCES' || code === 'EPERM' ? 'do it as root' : 'mend that';
    return failed(path, describeErrno(code), remedy);
  }
}

const isMask = ({ link, file }: Candidate): boolean =>
  link === '/dev/null' || ('type' in file && file.type === 'file' && file.size === 0);

const isExecutable = ({ file }: Candidate): boolean => 'type' in file && (file.mode & 0o111) !== 0;

const failed = (path: string, reason: string, remedy: string): Switched => ({
  kind: 'failed',
  path,
  reason,
  remedy,
});
