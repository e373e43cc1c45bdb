// Candidate to verdict: the whole policy on one page. Pure.
import { findRefusal } from '../system/trust.ts';
import type {
  Candidate,
  Defect,
  FileFacts,
  Interpreter,
  InterpreterFault,
  Judged,
  JudgedListing,
  Listing,
  Refusal,
  Signature,
  Verdict,
} from '../types.ts';
import { isSplit } from './env-line.ts';
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
 * its `.dpkg-dist` and `.dpkg-old`), editors and administrators leave beside a hook, data that belongs to one.
 */
const PASSED_OVER =
  /^\.|~$|^#.*#$|\.(?:dpkg-[^.]*|ucf-[^.]*|rpm[^.]*|pac(?:new|orig|save)|bak|old|orig|rej|save|sw[nop]|tmp|new|sig|asc|conf|cfg|ini|json|ya?ml|txt|md|rst|html?|log|lock|sample|example|disabled|off)$/s;

const FOR_PEOPLE =
  /^(?:README|COPYING|LICEN[CS]E|CHANGELOG|NEWS|NOTES|TODO|INSTALL|AUTHORS|Makefile)(?:\..*)?$/s;

/** Whether it is a text that lies there to be read. */
export const isForPeople = (name: string): boolean => FOR_PEOPLE.test(name);

export const isPassedOver = (name: string): boolean => PASSED_OVER.test(name) || isForPeople(name);

/** All that the directories hold, in their order. */
export function judgeListings(
  listings: readonly Listing[],
  by: Judge,
): { readonly listings: readonly JudgedListing[]; readonly judged: readonly Judged[] } {
  const local = new Set(
    listings
      .filter(({ source }) => source.kind === 'local')
      .flatMap(({ candidates }) => candidates.map(({ name }) => name)),
  );
  return {
    listings: listings.map(listing => ({
      ...listing,
      refusal: listing.state === 'read' ? findRefusal(undefined, listing.ancestorDirs, by.uid) : undefined,
    })),
    judged: listings.flatMap(({ source, candidates }) =>
      candidates.map((hook): Judged => {
        const isHidden = source.kind === 'profile' && local.has(hook.name) && !isPassedOver(hook.name);
        return { hook, verdict: isHidden ? { kind: 'skip', why: 'hidden' } : judge(hook, by) };
      }),
    ),
  };
}

export function judge(hook: Candidate, by: Judge): Verdict {
  if (isPassedOver(hook.name)) return { kind: 'skip', why: 'name' };
  // A mask, as systemd has it for units: told by the text of the link, since a chroot may have no /dev/null.
  if (hook.link === '/dev/null') return { kind: 'skip', why: 'masked' };
  if ('error' in hook.file) {
    const refusal = findRefusal(undefined, hook.ancestorDirs, by.uid);
    if (refusal?.kind === 'user-mount') return { kind: 'refuse', refusal };
    return broken(unreachable(hook, hook.file.error));
  }
  if (hook.file.type !== 'file') return { kind: 'skip', why: 'not-a-file' };
  if ((hook.file.mode & 0o111) === 0) return { kind: 'skip', why: 'disabled' };
  if (hook.file.size === 0) return { kind: 'skip', why: 'masked' };
  const refusal = findRefusal(hook.file, hook.ancestorDirs, by.uid) ?? findInterpreterRefusal(hook, by.uid);
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
    case 'expired-key':
      return { kind: 'run', expiredKey: signature.key };
    case 'unknown-key':
      return { kind: 'skip', why: signature.kind, key: signature.key };
    case 'no-signature':
    case 'no-keyring':
    case 'no-gpgv':
      return { kind: 'skip', why: signature.kind };
  }
}

/** The refusal of an interpreter or loader. Set-id bits do not matter there: the kernel gives nobody more than root has. */
function findInterpreterRefusal({ interpreters }: Candidate, uid: number): Refusal | undefined {
  for (const { file, ancestorDirs, path, role, of } of interpreters) {
    const own = 'error' in file ? undefined : { uid: file.uid, mode: file.mode & 0o777 };
    const refusal = findRefusal(own, ancestorDirs, uid);
    if (refusal !== undefined) return { kind: 'interpreter', interpreter: { path, role, of }, refusal };
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
    case 'interpreter-line':
      return { kind: 'interpreter-line', fault: hook.program.fault };
    case 'elf':
      return isNative(hook.program.machine, by.arch)
        ? findInterpreterDefect(hook, by)
        : { kind: 'architecture', machine: hook.program.machine };
    case 'script': {
      const { interpreter, argument } = hook.program;
      // env(1) looks for the argument, carriage return included. Other interpreters may well take one: perl does.
      // Not with -S, which takes one for a blank.
      const isEnv = interpreter.endsWith('/env') && !isSplit(argument);
      if (interpreter.endsWith('\r') || (isEnv && argument.endsWith('\r'))) return { kind: 'crlf' };
      return findInterpreterDefect(hook, by);
    }
    case 'shell-text':
      return findInterpreterDefect(hook, by);
    // An ordinary user can run a binary that he may not read; what else is unreadable, the attempt will tell.
    case 'unreadable':
    case undefined:
      return undefined;
  }
}

/** The defect of the first interpreter that stops the kernel. For some it says ENOEXEC, at which execvp(3) would have a shell read the hook. */
function findInterpreterDefect({ interpreters }: Candidate, by: Judge): Defect | undefined {
  for (const each of interpreters) {
    const fault = findFault(each, by);
    const { path, role, of } = each;
    if (fault !== undefined) return { kind: 'interpreter', interpreter: { path, role, of }, fault };
  }
  const isProgram = interpreters.at(-1)?.program?.kind !== 'script';
  return isProgram ? undefined : { kind: 'interpreter-depth' };
}

function findFault(
  { path, role, file, program, access }: Interpreter,
  by: Judge,
): InterpreterFault | undefined {
  if (!path.startsWith('/')) return { kind: 'relative' };
  if ('error' in file) {
    if (file.error === 'ENOENT' || file.error === 'ENOTDIR') return { kind: 'missing' };
    return { kind: 'unreachable', code: file.error };
  }
  if (file.type === 'directory') return { kind: 'directory' };
  if (access !== 'ok' || file.type !== 'file') return { kind: 'denied' };
  if (file.size === 0) return { kind: 'empty' };
  switch (program?.kind) {
    case 'elf':
      return isNative(program.machine, by.arch)
        ? undefined
        : { kind: 'architecture', machine: program.machine };
    case 'script':
      return role === 'interpreter' ? undefined : { kind: 'no-program' };
    // An interpreter that cannot be read may still be run, as a hook may.
    case 'unreadable':
    case undefined:
      return undefined;
    default:
      return { kind: 'no-program' };
  }
}

/** Whether the permission bits alone let the judge's user execute the file (path_resolution(7)). */
function mayExecute(file: FileFacts, by: Judge): boolean {
  if (by.uid === 0) return true;
  const shift = file.uid === by.uid ? 6 : by.gids.includes(file.gid) ? 3 : 0;
  return ((file.mode >> shift) & 1) === 1;
}
