// What `execve(2)` would make of a file, told from its first bytes.
import type { Program } from '../types.ts';

/** The kernel reads 256 bytes (BINPRM_BUF_SIZE of linux/binfmts.h), the line break among them. */
const LONGEST_LINE = 255;

/** How many files the kernel goes through to find the one that it runs (exec_binprm() of fs/exec.c): hook, interpreters, program. */
export const MOST_FILES = 6;

/** PATH_MAX of limits.h, the NUL at the end among them. */
const PATH_MAX = 4096;

type Read = (offset: number, size: number) => Buffer;

/** How much of a file `program` wants to see, in bytes. */
export const HEAD_SIZE = 4096;

/** `e_machine` of the ELF header (elf.h) that each of our own architectures runs, with its 32-bit kin. */
const MACHINES: Readonly<Record<string, readonly number[]>> = { x64: [62, 3], arm64: [183, 40] };

export const isNative = (machine: number, arch: string): boolean => MACHINES[arch]?.includes(machine) ?? true;

/** `read` is for what an ELF file has further on: as much as there is, from an offset on. */
export function program(
  head: Buffer,
  read: Read = (offset, size) => head.subarray(offset, offset + size),
): Program {
  if (head.subarray(0, 4).equals(Buffer.from('\x7fELF', 'latin1'))) return elf(head, read);
  const newline = head.indexOf('\n');
  const line = head.subarray(0, newline < 0 ? head.length : newline).toString('latin1');
  if (line.startsWith('\xef\xbb\xbf')) return { kind: 'byte-order-mark' };
  // POSIX (2.9.1.4 of the shell language): a file whose first line holds a NUL is not a shell script.
  if (!line.startsWith('#!')) return { kind: line.includes('\0') ? 'garbage' : 'shell-text' };
  if (line.length > LONGEST_LINE) return { kind: 'interpreter-line', fault: 'long' };
  // As in the kernel's binfmt_script.c: blanks around, then one word, then all the rest as one argument.
  const [, interpreter = '', argument = ''] =
    /^#![ \t]*([^ \t\0]*)[ \t]*([^\0]*?)[ \t]*(?:\0|$)/.exec(line) ?? [];
  if (interpreter === '') return { kind: 'interpreter-line', fault: 'bare' };
  return { kind: 'script', interpreter, argument };
}

function elf(head: Buffer, read: Read): Program {
  const is64 = head[4] === 2;
  const littleEndian = head[5] === 1;
  if (head.length < 64) return { kind: 'garbage' };
  const type = littleEndian ? head.readUInt16LE(16) : head.readUInt16BE(16);
  // ET_EXEC and ET_DYN of elf.h: objects and core dumps are no programs.
  if (type !== 2 && type !== 3) return { kind: 'garbage' };
  if (!littleEndian) return { kind: 'elf', machine: head.readUInt16BE(18), loader: undefined };
  const machine = head.readUInt16LE(18);
  const table = is64 ? Number(head.readBigUInt64LE(32)) : head.readUInt32LE(28);
  const size = head.readUInt16LE(is64 ? 54 : 42);
  const count = head.readUInt16LE(is64 ? 56 : 44);
  // The kernel reads no more headers than that (load_elf_phdrs() of fs/binfmt_elf.c).
  const headers = read(table, Math.min(size * count, 65_536));
  for (let at = 0; size >= 32 && at + size <= headers.length; at += size) {
    const entry = headers.subarray(at, at + size);
    if (entry.readUInt32LE(0) !== 3) continue; // PT_INTERP
    const name = read(is64 ? Number(entry.readBigUInt64LE(8)) : entry.readUInt32LE(4), PATH_MAX);
    const end = name.indexOf(0);
    if (end > 0) return { kind: 'elf', machine, loader: name.toString('latin1', 0, end) };
  }
  return { kind: 'elf', machine, loader: undefined };
}
