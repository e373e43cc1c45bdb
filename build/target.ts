// What is built for: `--arch amd64` or `--arch arm64`, Debian's names; this machine's architecture without it.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';

export interface Target {
  /** As Debian has it, and as Node.js has it. */
  readonly debian: string;
  readonly node: string;
  readonly native: boolean;
  /** The file that the executable for it is. */
  readonly executable: string;
  readonly strip: string;
  /** The words before a program of that architecture: none where this machine runs it by itself. */
  readonly emulator: readonly string[];
}

/** Of the packages libc6-arm64-cross, libstdc++6-arm64-cross and qemu-user-static. */
const TARGETS = [
  { debian: 'amd64', node: 'x64', triplet: 'x86_64-linux-gnu', qemu: 'qemu-x86_64-static' },
  { debian: 'arm64', node: 'arm64', triplet: 'aarch64-linux-gnu', qemu: 'qemu-aarch64-static' },
] as const;

/** Of the command line. */
export function readTarget(): Target {
  const { values } = parseArgs({ options: { arch: { type: 'string' } } });
  const found = TARGETS.find(({ debian, node }) =>
    values.arch === undefined ? node === process.arch : debian === values.arch,
  );
  if (found === undefined) {
    const all = TARGETS.map(({ debian }) => debian).join(' and ');
    throw new Error(
      `there is no package for the architecture ${values.arch ?? process.arch}, only for ${all}`,
    );
  }
  const native = found.node === process.arch;
  return {
    debian: found.debian,
    node: found.node,
    native,
    executable: native ? 'dist/tklbam-hooks' : `dist/tklbam-hooks-${found.debian}`,
    strip: native ? 'strip' : `${found.triplet}-strip`,
    emulator: native ? [] : [found.qemu, '-L', `/usr/${found.triplet}`],
  };
}

/** Whether this machine can run programs of the target. */
export function canRun({ native, emulator: [qemu = '', , root = ''] }: Target): boolean {
  return native || (existsSync(root) && existsSync(join('/usr/bin', qemu)));
}

/**
 * The directory of the npm package that has the official Node.js for the target. For another architecture than this machine's, npm
 * fetches it into dist/, and it must be what package-lock.json says.
 */
export function nodePackage({ node, native }: Target): string {
  const name = `node-linux-${node}`;
  if (native) return `node_modules/${name}`;
  const { version, integrity } = JSON.parse(readFileSync('package-lock.json', 'utf8')).packages[
    `node_modules/${name}`
  ];
  const directory = `dist/${name}-${version}`;
  if (existsSync(directory)) return directory;
  mkdirSync('dist', { recursive: true });
  const scratch = mkdtempSync(resolve('dist/build-'));
  try {
    const packed = execFileSync(
      'npm',
      ['pack', '--silent', '--pack-destination', scratch, `${name}@${version}`],
      {
        encoding: 'utf8',
      },
    ).trim();
    const archive = join(scratch, packed);
    const [algorithm = ''] = integrity.split('-');
    const found = `${algorithm}-${createHash(algorithm).update(readFileSync(archive)).digest('base64')}`;
    if (found !== integrity) throw new Error(`${packed} is ${found}, and package-lock.json has ${integrity}`);
    execFileSync('tar', ['-C', scratch, '-xzf', archive, 'package']);
    renameSync(join(scratch, 'package'), directory);
  } finally {
    rmSync(scratch, { recursive: true });
  }
  return directory;
}
