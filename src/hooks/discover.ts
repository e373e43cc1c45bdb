// Directories to candidates: facts, no opinions.
import { accessSync, closeSync, constants, openSync, readdirSync, readlinkSync, readSync } from 'node:fs';
import { decodeBytes, encodeBytes } from '../system/bytes.ts';
import { errnoOf } from '../system/errno.ts';
import { userMounts } from '../system/mounts.ts';
import { resolvePath } from '../system/resolve.ts';
import type {
  Candidate,
  Header,
  HookSource,
  Interpreter,
  InterpreterName,
  Listing,
  Program,
} from '../types.ts';
import { HEAD_SIZE, MOST_FILES, program } from './exec-format.ts';
import { NO_HEADER, parseHeader } from './header.ts';

/** What a directory holds, in byte order of the names (strcmp(3), whatever the locale). Never throws: all that can go wrong is a fact. */
export function discover(source: HookSource): Listing {
  const mounts = userMounts();
  const path = encodeBytes(source.directory);
  const { ancestorDirs } = resolvePath(path, mounts);
  // A file system of a user's: its owner could have us wait for ever.
  const isForeign = ancestorDirs.some(directory => 'mountedBy' in directory);
  // Buffers: a name that is not UTF-8 cannot be seen in any other way.
  const names = attempt(() =>
    isForeign ? [] : readdirSync(Buffer.from(path, 'latin1'), { encoding: 'buffer' }),
  );
  if (names.value === undefined) {
    const isAbsent = names.error === 'ENOENT' && source.isNamed === undefined;
    const state = isAbsent ? 'absent' : { error: names.error };
    return { source, state, ancestorDirs, candidates: [] };
  }
  const known = new Map<string, Interpreter>();
  const interpreter: LoadInterpreter = (raw, name) => {
    const found = known.get(raw) ?? loadInterpreter(raw, name, mounts);
    known.set(raw, found);
    return { ...found, ...name };
  };
  const candidates = names.value
    .sort(Buffer.compare)
    .map(name => candidate(source, name, mounts, interpreter));
  return { source, state: 'read', ancestorDirs, candidates };
}

type Mounts = ReturnType<typeof userMounts>;
type LoadInterpreter = (raw: string, name: InterpreterName) => Interpreter;

function candidate(
  source: HookSource,
  bytes: Buffer,
  mounts: Mounts,
  interpreter: LoadInterpreter,
): Candidate {
  const path = Buffer.concat([Buffer.from(`${source.directory}/`), bytes]);
  const raw = path.toString('latin1');
  const { file, ancestorDirs } = resolvePath(raw, mounts);
  const isProgram = 'type' in file && file.type === 'file' && (file.mode & 0o111) !== 0;
  const { program, header } = isProgram ? head(path) : { program: undefined, header: NO_HEADER };
  return {
    source,
    name: bytes.toString(),
    bytes,
    path: path.toString(),
    link: mounts.has(raw) ? undefined : attempt(() => readlinkSync(path)).value,
    file,
    ancestorDirs,
    program,
    access: isProgram ? access(path) : 'ok',
    interpreters: interpretersOf(program, interpreter),
    header,
  };
}

/** The chain of interpreters, as far as the kernel would follow it and we can. */
function interpretersOf(program: Program | undefined, load: LoadInterpreter): Interpreter[] {
  const chain: Interpreter[] = [];
  let raw = program?.kind === 'shell-text' ? '/bin/sh' : wanted(program);
  let next = program;
  while (raw !== undefined && chain.length < MOST_FILES - 1) {
    const role = next?.kind === 'elf' ? 'loader' : 'interpreter';
    const found = load(raw, { path: decodeBytes(raw), role, of: chain.at(-1)?.path });
    chain.push(found);
    next = found.program;
    // The kernel does not ask what a loader would be loaded by.
    raw = role === 'loader' ? undefined : wanted(next);
  }
  return chain;
}

function wanted(program: Program | undefined): string | undefined {
  if (program?.kind === 'script') return program.interpreter;
  return program?.kind === 'elf' ? program.loader : undefined;
}

function loadInterpreter(raw: string, name: InterpreterName, mounts: Mounts): Interpreter {
  // A relative path leads elsewhere each time.
  const { file, ancestorDirs } = raw.startsWith('/')
    ? resolvePath(raw, mounts)
    : { file: { error: 'ENOENT' }, ancestorDirs: [] };
  const path = Buffer.from(raw, 'latin1');
  const isFile = 'type' in file && file.type === 'file';
  return {
    ...name,
    file,
    ancestorDirs,
    program: isFile ? head(path).program : undefined,
    access: isFile ? access(path) : 'ok',
  };
}

function head(path: Buffer): { readonly program: Program; readonly header: Header } {
  const found = attempt(() => {
    // O_NONBLOCK: should it have become a FIFO since, opening it must not wait for a writer.
    const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
    try {
      const read = (offset: number, size: number): Buffer => {
        const buffer = Buffer.alloc(size);
        // An ELF header may name any offset.
        const isThere = Number.isSafeInteger(offset);
        return buffer.subarray(0, isThere ? readSync(fd, buffer, 0, size, offset) : 0);
      };
      const start = read(0, HEAD_SIZE);
      return { start, program: program(start, read) };
    } finally {
      closeSync(fd);
    }
  });
  if (found.value === undefined)
    return { program: { kind: 'unreadable', code: found.error }, header: NO_HEADER };
  const { start, program: made } = found.value;
  const isText = made.kind === 'script' || made.kind === 'shell-text';
  return {
    program: made,
    header: isText ? parseHeader(start, start.length < HEAD_SIZE) : NO_HEADER,
  };
}

function access(path: Buffer): string {
  const { error } = attempt(() => accessSync(path, constants.X_OK));
  return error === '' ? 'ok' : error;
}

/** What `look` returns, or the name of the errno that it failed with. */
function attempt<T>(look: () => T): { readonly value: T | undefined; readonly error: string } {
  try {
    return { value: look(), error: '' };
  } catch (error) {
    return { value: undefined, error: errnoOf(error) };
  }
}
