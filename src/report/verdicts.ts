// Why a hook does not run, and what to do about it. Pure.
import { resolve } from 'node:path/posix';
import { escapeControls } from '../cli/text.ts';
import { describeErrno } from '../system/errno.ts';
import type {
  Candidate,
  Defect,
  InterpreterFault,
  InterpreterName,
  Refusal,
  SigningKey,
  Skip,
  Verdict,
} from '../types.ts';

/** Both of one line: a sentence about the hook, and what to do. */
export interface Advice {
  readonly reason: string;
  readonly remedy: string;
}

/** How a file is spoken of. */
interface Subject {
  /** At the beginning of a sentence, and as what a command is given. */
  readonly it: string;
  readonly object: string;
  /** The directory that is its own: to change another one might harm others. */
  readonly directory: string | undefined;
  /** What to do if it is in a directory that has to stay as it is. */
  readonly move: string;
  /** What that directory has to do with it. */
  readonly where: string;
}

const quote = (path: string): string => `'${escapeControls(path)}'`;

/** chmod(1) and chown(1) on a link mean its target, which others may use: so that is named. */
function hookSubject(hook: Candidate | undefined): Subject {
  const directory = hook?.source.directory;
  const move = 'move the hook out of it';
  if (hook?.link === undefined) return { it: 'it', object: 'it', directory, move, where: '' };
  const target = quote(resolve(hook.source.directory, hook.link));
  return { it: `its target ${target}`, object: target, directory, move, where: '' };
}

function interpreterSubject({ path, role, of }: InterpreterName): Subject {
  const object = quote(path);
  const it = of === undefined ? `its ${role} ${object}` : `the ${role} ${object} of ${quote(of)}`;
  return { it, object, directory: undefined, move: `use another ${role}`, where: `, and ${it} is in it` };
}

function disable(hook: Candidate | undefined): string {
  return hook?.link === undefined ? 'or chmod -x it to disable it' : 'or remove the link to disable it';
}

/** `hook` is undefined for a command that is none. */
export function describeDefect(defect: Defect, hook: Candidate | undefined): Advice {
  const off = disable(hook);
  const { it, object } = hookSubject(hook);
  switch (defect.kind) {
    case 'dangling-link':
      return {
        reason: `its target ${quote(defect.target)} is missing`,
        remedy: 'restore the target, or remove the link',
      };
    case 'link-loop':
      return { reason: 'it is a link that leads back to itself', remedy: 'remove the link' };
    case 'unreachable':
      return {
        reason: `${it === 'it' ? '' : `${it} cannot be reached: `}${describeErrno(defect.code)}`,
        remedy: `mend that, ${off}`,
      };
    case 'name-not-utf8':
      return { reason: 'its name is not valid UTF-8', remedy: `rename it, ${off}` };
    case 'no-permission':
      return { reason: 'permission denied', remedy: `run as root, or chmod a+rx ${object}` };
    case 'noexec':
      return { reason: 'its file system is mounted noexec', remedy: `remount it with exec, ${off}` };
    case 'crlf':
      return {
        reason: 'its first line ends in CRLF, as written on Windows',
        remedy: `sed -i 's/\\r$//' ${object}, ${off}`,
      };
    case 'byte-order-mark':
      return {
        reason: 'it starts with a byte order mark',
        remedy: `sed -i '1s/^\\xef\\xbb\\xbf//' ${object}, ${off}`,
      };
    case 'garbage':
      return { reason: 'it is neither a script nor a program', remedy: `replace it, ${off}` };
    case 'interpreter-line':
      return defect.fault === 'long'
        ? {
            reason: 'its first line is longer than the 255 bytes that the kernel reads',
            remedy: `shorten it, by a link to the interpreter for example, ${off}`,
          }
        : { reason: 'its first line names no interpreter', remedy: `begin it with #!/bin/sh, ${off}` };
    case 'interpreter-depth':
      return {
        reason:
          'its interpreter is a script whose interpreter is a script, and so on, deeper than the kernel goes',
        remedy: `correct its first line, ${off}`,
      };
    case 'interpreter': {
      const { role, of } = defect.interpreter;
      const correct = `correct the first line of ${of === undefined ? 'the hook' : quote(of)}`;
      const remedy = role === 'loader' ? 'install that' : correct;
      const isMissing = defect.fault.kind === 'missing' && role !== 'loader';
      return {
        reason: `${interpreterSubject(defect.interpreter).it} ${describeFault(defect.fault)}`,
        remedy: `${isMissing ? `install that, or ${remedy}` : remedy}, ${off}`,
      };
    }
    case 'architecture':
      return {
        reason: `it was built for another architecture (ELF machine ${defect.machine})`,
        remedy: `install the build for this one, ${off}`,
      };
    case 'unrecorded':
      return {
        reason: `that it starts cannot be recorded: ${describeErrno(defect.code)}`,
        remedy: 'see to the state directory, /var/lib/tklbam-hooks by default',
      };
    case 'directory':
      return {
        reason: `the directory to run it in, ${quote(defect.directory)}, cannot be entered: ${describeErrno(defect.code)}`,
        remedy: 'run it from another one',
      };
    case 'system':
      return describeAttempt(defect.code, object);
  }
}

export function describeFault(fault: InterpreterFault): string {
  switch (fault.kind) {
    case 'relative':
      return 'is not an absolute path';
    case 'missing':
      return 'is missing';
    case 'denied':
      return 'cannot be executed';
    case 'directory':
      return 'is a directory';
    case 'empty':
      return 'is empty';
    case 'no-program':
      return 'is neither a script nor a program';
    case 'architecture':
      return `was built for another architecture (ELF machine ${fault.machine})`;
    case 'unreachable':
      return `cannot be reached: ${describeErrno(fault.code)}`;
  }
}

/** What `execve(2)` and `fork(2)` say about a hook that looked well. */
function describeAttempt(code: string, object: string): Advice {
  const known: Readonly<Record<string, [string, string]>> = {
    ENOENT: ['it or its interpreter is gone', 'it was there when the run began'],
    EACCES: ['permission denied', `chmod a+rx ${object}, or see to its interpreter`],
    ETXTBSY: ['it is open for writing', 'try again when that is done'],
    E2BIG: ['the environment is too large', 'unset large variables'],
  };
  const [reason, remedy] = known[code] ?? [describeErrno(code), 'try again when that is mended'];
  return { reason, remedy };
}

export function describeRefusal(refusal: Refusal, hook: Candidate | undefined): Advice {
  const subject =
    refusal.kind === 'interpreter' ? interpreterSubject(refusal.interpreter) : hookSubject(hook);
  const { reason, remedy } = describe(refusal.kind === 'interpreter' ? refusal.refusal : refusal, subject);
  return { reason, remedy: `${remedy}, ${disable(hook)}` };
}

/** Reason and remedy for a hooks directory, or any other file or directory of ours. */
export function describePathRefusal(refusal: Refusal, path: string): Advice {
  const it = quote(path);
  return describe(refusal, { it, object: it, directory: path, move: 'use another directory', where: '' });
}

function describe(refusal: Refusal, { it, object, directory, move, where }: Subject): Advice {
  switch (refusal.kind) {
    case 'set-id':
      return { reason: `${it} is set-user-ID or set-group-ID`, remedy: `chmod ug-s ${object}` };
    case 'signature':
      return { reason: refusal.reason, remedy: refusal.remedy };
    case 'interpreter':
      return describe(refusal.refusal, interpreterSubject(refusal.interpreter));
    case 'user-mount':
      return {
        reason: `${quote(refusal.directory)} was mounted by ${escapeControls(refusal.by)}${where}`,
        remedy: move,
      };
    case 'owner': {
      if (refusal.directory === undefined) {
        const remedy = `read ${object}, then chown root ${object}`;
        return { reason: `${it} belongs to user ${refusal.uid}`, remedy };
      }
      const shown = quote(refusal.directory);
      const isRoots = refusal.directory === directory || isOfSystem(refusal.directory);
      return {
        reason: `${shown} belongs to user ${refusal.uid}${where}`,
        remedy: isRoots ? `chown root ${shown}` : move,
      };
    }
    case 'writable': {
      const who = (refusal.mode & 0o002) === 0 ? 'its group' : 'everybody';
      if (refusal.directory === undefined) {
        return { reason: `${it} is writable by ${who}`, remedy: `chmod go-w ${object}` };
      }
      const shown = quote(refusal.directory);
      // Sticky or set-group-ID: a directory that is made to be shared.
      const isShared = (refusal.mode & 0o3000) !== 0 && refusal.directory !== directory;
      return {
        reason: `${shown} is writable by ${who}${where}`,
        remedy: isShared ? move : `chmod go-w ${shown}`,
      };
    }
  }
}

/** Whether everybody expects it to be root's: not a home, say. */
const isOfSystem = (directory: string): boolean =>
  /^\/(?:(?:etc|usr|lib\w*|s?bin)(?:\/.*)?|var(?:\/lib(?:\/tklbam.*)?)?)?$/.test(directory);

export function describeSkip(why: Skip, key: SigningKey | undefined): string {
  switch (why) {
    case 'disabled':
      return 'is not executable (chmod +x enables it)';
    case 'name':
      return 'has the name of a backup, package manager or data file';
    case 'not-a-file':
      return 'is not a file';
    case 'masked':
      return 'is masked (empty, or a link to /dev/null)';
    case 'hidden':
      return 'is hidden by the local entry of the same name';
    case 'no-signature':
      return 'is a profile hook without a signature';
    case 'no-keyring':
      return 'is a profile hook, and there is no keyring to check its signature with';
    case 'no-gpgv':
      return 'is a profile hook, and there is no gpgv to check its signature with (apt install gpgv)';
    case 'unknown-key': {
      const made = key?.date ? ` on ${key.date}` : '';
      return `is a profile hook, signed${made} with key ${escapeControls(key?.id ?? '')}, which is in none of the keyrings`;
    }
  }
}

export const describeExpiredKey = ({ id, date }: SigningKey): string =>
  `is signed with key ${escapeControls(id)}, which has expired since, on ${date}`;

/** Reason and remedy for a header line in a hook's comments. */
export const describeHeaderFault = ({ line, text }: { line: number; text: string }): Advice => ({
  reason: `line ${line}: cannot read '${escapeControls(text)}', so the line is not used`,
  remedy: `it takes ${HEADER_WORDS}`,
});

const HEADER_WORDS = 'timeout=DURATION, failure=warn, always, secrets=yes';

/** Undefined for a hook that runs. */
export function reason(verdict: Verdict, hook: Candidate | undefined): string | undefined {
  const join = ({ reason, remedy }: Advice): string => `${reason} (${remedy})`;
  switch (verdict.kind) {
    case 'run':
      return undefined;
    case 'refuse':
      return join(describeRefusal(verdict.refusal, hook));
    case 'skip':
      // One beside each ready hook.
      if (verdict.why === 'name' && hook?.name.endsWith('.conf')) return 'has the name of a settings file';
      return describeSkip(verdict.why, verdict.key);
    case 'broken':
      return join(describeDefect(verdict.defect, hook));
  }
}
