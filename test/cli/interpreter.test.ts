// What the kernel would not run as it is meant is broken by day. Left to execvp(3), /bin/sh would read what was written for Python.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ending, hooksDirectory, place, programs, run } from '../support/harness.ts';

const disable = 'or chmod -x it to disable it';

/** A program of this machine that says it is of s390x, as one of another architecture does. */
function foreign(path: string): void {
  const bytes = readFileSync('/bin/true');
  bytes.writeUInt16LE(22, 18);
  writeFileSync(path, bytes, { mode: 0o755 });
}

interface Case {
  readonly what: string;
  /** The first line, and what it leads to; `DIR` is a directory beside the hooks. */
  readonly line: string;
  readonly make?: (directory: string) => void;
  readonly reason: string;
  readonly remedy: string;
}
const correct = `correct the first line of the hook, ${disable}`;
const cases: readonly Case[] = [
  {
    what: 'a first line of 257 bytes',
    line: `#!/bin/${'./'.repeat(124)}sh`,
    reason: 'its first line is longer than the 255 bytes that the kernel reads',
    remedy: `shorten it, by a link to the interpreter for example, ${disable}`,
  },
  {
    what: 'a first line without an interpreter',
    line: '#!',
    reason: 'its first line names no interpreter',
    remedy: `begin it with #!/bin/sh, ${disable}`,
  },
  {
    what: 'an interpreter of another architecture',
    line: '#!DIR/x',
    make: directory => foreign(join(directory, 'x')),
    reason: "its interpreter 'DIR/x' was built for another architecture (ELF machine 22)",
    remedy: correct,
  },
  {
    what: 'an empty interpreter',
    line: '#!DIR/x',
    make: directory => place(directory, 'x', ''),
    reason: "its interpreter 'DIR/x' is empty",
    remedy: correct,
  },
  {
    what: 'an interpreter that is text without #!',
    line: '#!DIR/x',
    make: directory => place(directory, 'x', 'exec "$@"\n'),
    reason: "its interpreter 'DIR/x' is neither a script nor a program",
    remedy: correct,
  },
  {
    what: 'an interpreter that is a directory',
    line: '#!DIR',
    reason: "its interpreter 'DIR' is a directory",
    remedy: correct,
  },
  {
    what: 'an interpreter whose own is missing',
    line: '#!DIR/x',
    make: directory => place(directory, 'x', '#!/nonexistent/y\n'),
    reason: "the interpreter '/nonexistent/y' of 'DIR/x' is missing",
    remedy: `install that, or correct the first line of 'DIR/x', ${disable}`,
  },
  {
    what: 'an interpreter whose own is relative',
    line: '#!DIR/x',
    make: directory => place(directory, 'x', '#!sh\n'),
    reason: "the interpreter 'sh' of 'DIR/x' is not an absolute path",
    remedy: `correct the first line of 'DIR/x', ${disable}`,
  },
  {
    what: 'an interpreter that is its own',
    line: '#!DIR/x',
    make: directory => place(directory, 'x', `#!${directory}/x\n`),
    reason:
      'its interpreter is a script whose interpreter is a script, and so on, deeper than the kernel goes',
    remedy: `correct its first line, ${disable}`,
  },
];

/** Interpreters, each one run by the next, and the last by cat(1). */
function chain(directory: string, length: number): string {
  for (let i = 1; i <= length; i++) {
    place(directory, `i${i}`, `#!${i === length ? '/bin/cat' : `${directory}/i${i + 1}`}\n`);
  }
  return `#!${directory}/i1\n`;
}

/** Whether execve(2) itself runs it: no shell steps in. */
const execve = (path: string): boolean =>
  spawnSync('python3', ['-c', 'import os, sys; os.execv(sys.argv[1], sys.argv[1:])', path]).status === 0;

for (const program of programs) {
  const beside = (t: TestContext): { directory: string; other: string } => {
    const directory = hooksDirectory(t);
    const other = join(directory, '../other');
    mkdirSync(other, { mode: 0o755 });
    return { directory, other: join(directory, '..', 'other') };
  };
  const pass = (directory: string) => ending(run(program, ['run', 'backup', 'pre', '--hooks', directory]));
  const broken = (directory: string, reason: string, remedy: string): string =>
    `HookError: \`${directory}/x backup pre\` could not be started: ${reason}, no hook was run (${remedy})\n`;

  for (const { what, line, make, reason, remedy } of cases) {
    test(`${program.name}: ${what}: broken, and no shell reads the hook`, t => {
      const { directory, other } = beside(t);
      make?.(other);
      const fill = (text: string): string => text.replaceAll('DIR', other);
      const ran = join(other, 'ran');
      place(directory, 'x', `${fill(line)}\ntouch '${ran}'\n`);
      assert.deepEqual(pass(directory), [1, '', broken(directory, fill(reason), fill(remedy))]);
      assert.ok(!existsSync(ran));
      assert.ok(!execve(join(directory, 'x')));
    });
  }

  test(`${program.name}: interpreters of interpreters, as deep as the kernel goes and no deeper`, t => {
    const { directory, other } = beside(t);
    for (let length = 1; length <= 6; length++) {
      place(directory, 'x', chain(other, length));
      const works = execve(join(directory, 'x'));
      const [status, , stderr] = pass(directory);
      assert.equal(/deeper than the kernel goes/.test(stderr), !works, `${length}: ${stderr}`);
      assert.equal(status === 1 && /could not be started/.test(stderr), !works, `${length}: ${stderr}`);
    }
  });

  test(`${program.name}: the longest first line that the kernel reads`, t => {
    const { directory } = beside(t);
    place(directory, 'x', `#!/bin/${'./'.repeat(123)}sh\necho ran\n`);
    assert.deepEqual(pass(directory), [0, 'ran\n', '']);
  });

  test(`${program.name}: an interpreter whose name is not UTF-8`, t => {
    const { directory, other } = beside(t);
    const name = Buffer.concat([Buffer.from(`${other}/`), Buffer.from([0xe9])]);
    copyFileSync('/bin/sh', name);
    chmodSync(name, 0o755);
    place(directory, 'x', Buffer.concat([Buffer.from('#!'), name, Buffer.from('\necho ran\n')]));
    assert.deepEqual(pass(directory), [0, 'ran\n', '']);
  });

  test(`${program.name}: a program whose loader is missing`, t => {
    const { directory } = beside(t);
    const bytes = readFileSync('/bin/true');
    const at = bytes.indexOf('/ld-linux');
    bytes.write('/no-linux', at);
    place(directory, 'x', bytes);
    const loader = bytes.toString('latin1', bytes.lastIndexOf(0, at) + 1, bytes.indexOf(0, at));
    const reason = `its loader '${loader}' is missing`;
    assert.deepEqual(pass(directory), [1, '', broken(directory, reason, `install that, ${disable}`)]);
  });

  test(`${program.name}: a program whose loader is named at its end, as patchelf writes it, and is missing`, t => {
    const { directory } = beside(t);
    const bytes = readFileSync('/bin/true');
    const [table, size, count] = [
      Number(bytes.readBigUInt64LE(32)),
      bytes.readUInt16LE(54),
      bytes.readUInt16LE(56),
    ];
    const headers = Array.from({ length: count }, (_, i) => table + i * size);
    const interp = headers.find(at => bytes.readUInt32LE(at) === 3);
    assert.ok(interp !== undefined);
    bytes.writeBigUInt64LE(BigInt(bytes.length), interp + 8);
    bytes.writeBigUInt64LE(16n, interp + 32);
    place(directory, 'x', Buffer.concat([bytes, Buffer.from('/nonexistent/ld\0')]));
    const reason = "its loader '/nonexistent/ld' is missing";
    assert.deepEqual(pass(directory), [1, '', broken(directory, reason, `install that, ${disable}`)]);
  });

  test(`${program.name}: an object file is no program`, t => {
    const { directory } = beside(t);
    const bytes = readFileSync('/bin/true');
    bytes.writeUInt16LE(1, 16);
    place(directory, 'x', bytes);
    const reason = 'it is neither a script nor a program';
    assert.deepEqual(pass(directory), [1, '', broken(directory, reason, `replace it, ${disable}`)]);
  });
}
