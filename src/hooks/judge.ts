// Candidate to verdict: the whole policy on one page. Pure.
import type { Candidate, Defect, DirectoryFacts, FileFacts, Refusal, Signature, Verdict } from '../types.ts';
import { isNative } from './exec-format.ts';

/** Who will execute the hooks, by credentials(7), and on what machine. */
export interface Judge {
  readonly uid: number;
  readonly gids: readonly number[];
  /** As `process.arch` has it. */
  readonly arch: string;
}

/**
 * Names that are passed over although the file may be executable: what package managers (dpkg keeps the mode of a conffile in
 * its `.dpkg-dist` and `.dpkg-old`), editors and administrators leave beside a hook, and data that belongs to one.
 */
const PASSED_OVER =
  /^\.|~$|^#.*#$|\.(?:dpkg-[^.]*|ucf-[^.]*|rpm[^.]*|pac(?:new|orig|save)|bak|old|orig|rej|save|sw[nop]|tmp|new|sig|asc|conf|cfg|ini|json|ya?ml|txt|md|log|lock|sample|example|disabled|off)$/s;

export const isPassedOver = (name: string): boolean => PASSED_OVER.test(name);

export function judge(hook: Candidate, by: Judge): Verdict {
  if (isPassedOver(hook.name)) return { kind: 'skip', why: 'name' };
  // By its text, since a chroot may have no /dev/null for it to lead to. As systemd masks a unit.
  if (hook.link === '/dev/null') return { kind: 'skip', why: 'masked' };
  if ('error' in hook.file) return broken(unreachable(hook, hook.file.error));
  if (hook.file.type !== 'file') return { kind: 'skip', why: 'not-a-file' };
  if ((hook.file.mode & 0o111) === 0) return { kind: 'skip', why: 'disabled' };
  if (hook.file.size === 0) return { kind: 'skip', why: 'masked' };
  const refusal = findRefusal(hook.file, hook.ancestorDirs, by.uid);
  if (refusal !== undefined) return { kind: 'refuse', refusal };
  const defect = findDefect(hook, hook.file, by);
  return defect === undefined ? { kind: 'run' } : broken(defect);
}

/** The verdict on a profile hook that `judge` would run. */
export function judgeSignature(signature: Signature): Verdict {
  switch (signature.kind) {
    case 'good':
      return { kind: 'run' };
    case 'bad':
      return { kind: 'refuse', refusal: { ...signature, kind: 'signature' } };
    case 'no-signature':
    case 'no-keyring':
    case 'no-gpgv':
      return { kind: 'skip', why: signature.kind };
  }
}

/**
 * What makes a file one that somebody else than root and `uid` decides on: its own owner and mode, and those of every
 * directory on the way to it. The sticky bit is no excuse: it does not keep a stranger from putting a file there first.
 */
export function findRefusal(
  file: Pick<FileFacts, 'uid' | 'mode'>,
  directories: readonly DirectoryFacts[],
  uid: number,
): Refusal | undefined {
  if ((file.mode & 0o6000) !== 0) return { kind: 'set-id' };
  for (const { uid: owner, mode, path } of [{ ...file, path: undefined }, ...directories.toReversed()]) {
    if (owner !== 0 && owner !== uid) return { kind: 'owner', uid: owner, directory: path };
    if ((mode & 0o022) !== 0) return { kind: 'writable', mode, directory: path };
  }
  return undefined;
}

const broken = (defect: Defect): Verdict => ({ kind: 'broken', defect });

function unreachable(hook: Candidate, code: string): Defect {
  if (hook.link !== undefined && code === 'ENOENT') return { kind: 'dangling-link', target: hook.link };
  if (code === 'ELOOP') return { kind: 'link-loop' };
  return { kind: 'unreachable', code };
}

/** What would keep the hook from starting. */
function findDefect(hook: Candidate, file: FileFacts, by: Judge): Defect | undefined {
  // Node.js takes paths as UTF-8 text alone, so there is no way to start it.
  if (!Buffer.from(hook.name).equals(hook.bytes)) return { kind: 'name-not-utf8' };
  if (hook.access === 'EACCES') return mayExecute(file, by) ? { kind: 'noexec' } : { kind: 'no-permission' };
  if (hook.access !== 'ok') return { kind: 'unreachable', code: hook.access };
  switch (hook.program?.kind) {
    case 'byte-order-mark':
    case 'garbage':
      return { kind: hook.program.kind };
    case 'elf': {
      const { machine, loader } = hook.program;
      if (!isNative(machine, by.arch)) return { kind: 'architecture', machine };
      return loader === undefined ? undefined : lacking(hook, loader);
    }
    case 'script': {
      const { interpreter, argument } = hook.program;
      // env(1) looks for the argument, carriage return included. Other interpreters may well take one: perl does.
      const isEnv = interpreter.endsWith('/env');
      if (interpreter.endsWith('\r') || (isEnv && argument.endsWith('\r'))) return { kind: 'crlf' };
      if (!interpreter.startsWith('/')) return { kind: 'relative-interpreter', interpreter };
      return lacking(hook, interpreter);
    }
    case 'shell-text':
    // An ordinary user can run a binary that he may not read; what else is unreadable, the attempt will tell.
    case 'unreadable':
    case undefined:
      return undefined;
  }
}

function lacking(hook: Candidate, interpreter: string): Defect | undefined {
  if (hook.interpreterAccess === 'ok') return undefined;
  if (hook.interpreterAccess === 'EACCES') return { kind: 'interpreter-denied', interpreter };
  return { kind: 'no-interpreter', interpreter };
}

/** Whether the permission bits alone let the judge's user execute the file (path_resolution(7)). */
function mayExecute(file: FileFacts, by: Judge): boolean {
  if (by.uid === 0) return true;
  const shift = file.uid === by.uid ? 6 : by.gids.includes(file.gid) ? 3 : 0;
  return ((file.mode >> shift) & 1) === 1;
}
