// Directories to candidates: facts, no opinions.
import {
  accessSync,
  closeSync,
  constants,
  lstatSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
  type Stats,
  statSync,
} from 'node:fs';
import type { Candidate, DirectoryFacts, FileFacts, Header, HookSource, Listing, Program } from '../types.ts';
import { ancestorDirs } from './ancestors.ts';
import { HEAD_SIZE, program } from './exec-format.ts';
import { NO_HEADER, parseHeader } from './header.ts';

/** What a directory holds, in byte order of the names (strcmp(3), whatever the locale). */
export function discover(source: HookSource): Listing {
  let names: Buffer[];
  try {
    // Buffers: a name that is not UTF-8 cannot be seen in any other way.
    names = readdirSync(source.directory, { encoding: 'buffer' });
  } catch (error) {
    const code = errnoName(error);
    return { source, state: code === 'ENOENT' ? 'absent' : { error: code }, candidates: [] };
  }
  const directories = ancestorDirs(Buffer.from(source.directory).toString('latin1'));
  const candidates = names.sort(Buffer.compare).map(name => candidate(source, name, directories));
  return { source, state: 'read', candidates };
}

function candidate(source: HookSource, bytes: Buffer, directories: readonly DirectoryFacts[]): Candidate {
  const path = Buffer.concat([Buffer.from(`${source.directory}/`), bytes]);
  const link = attempt(() => (lstatSync(path).isSymbolicLink() ? readlinkSync(path) : undefined)).value;
  const file = attempt(() => facts(statSync(path)));
  const found = {
    source,
    name: bytes.toString(),
    bytes,
    path: path.toString(),
    link,
    file: file.value ?? { error: file.error },
    ancestorDirs: link === undefined ? directories : ancestorDirs(path.toString('latin1')),
  };
  const isProgram = file.value?.type === 'file' && (file.value.mode & 0o111) !== 0;
  const { program: start, header } = isProgram ? head(path) : { program: undefined, header: NO_HEADER };
  const interpreter =
    start?.kind === 'script' ? start.interpreter : start?.kind === 'elf' ? start.loader : undefined;
  return {
    ...found,
    program: start,
    access: isProgram ? access(path) : 'ok',
    interpreterAccess: interpreter === undefined ? 'ok' : access(interpreter),
    header,
  };
}

function facts(stat: Stats): FileFacts {
  return {
    type: stat.isFile() ? 'file' : stat.isDirectory() ? 'directory' : 'other',
    size: stat.size,
    uid: stat.uid,
    gid: stat.gid,
    mode: stat.mode & 0o7777,
    modifiedMs: stat.mtimeMs,
  };
}

function head(path: Buffer): { readonly program: Program; readonly header: Header } {
  const read = attempt(() => {
    // O_NONBLOCK: should it have become a FIFO since, opening it must not wait for a writer.
    const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
    try {
      const buffer = Buffer.alloc(HEAD_SIZE);
      return buffer.subarray(0, readSync(fd, buffer, 0, HEAD_SIZE, 0));
    } finally {
      closeSync(fd);
    }
  });
  if (read.value === undefined)
    return { program: { kind: 'unreadable', code: read.error }, header: NO_HEADER };
  const found = program(read.value);
  const isText = found.kind === 'script' || found.kind === 'shell-text';
  return {
    program: found,
    header: isText ? parseHeader(read.value, read.value.length < HEAD_SIZE) : NO_HEADER,
  };
}

function access(path: string | Buffer): string {
  const { error } = attempt(() => accessSync(path, constants.X_OK));
  return error === '' ? 'ok' : error;
}

/** The value, or the name of the errno that stood in its way. */
function attempt<T>(look: () => T): { readonly value: T | undefined; readonly error: string } {
  try {
    return { value: look(), error: '' };
  } catch (error) {
    return { value: undefined, error: errnoName(error) };
  }
}

/** The name of a system call's error, as errno(3) has it. Anything else is a bug and is thrown on. */
function errnoName(error: unknown): string {
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') return error.code;
  throw error;
}
