// Packages to install in a chroot: ours, changed, and one that stands in for tklbam.
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { debFile } from './built.ts';
import { place } from './harness.ts';
import { repository } from './repository.ts';

export const { version } = JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8'));
const architecture = execFileSync('dpkg', ['--print-architecture'], { encoding: 'utf8' }).trim();

/** The package as build/deb.ts makes it. */
export const deb = debFile(`tklbam-hooks_${version}_${architecture}.deb`);

const sources = join(repository, 'test/tklbam');

/** Takes a package apart, and makes one of the tree that `edit` leaves. Not compressed: that takes its time. */
export function repack(from: string, to: string, edit: (tree: string) => void): void {
  withTree(to, tree => {
    execFileSync('dpkg-deb', ['--raw-extract', from, tree]);
    edit(tree);
    const sums = join(tree, 'DEBIAN/md5sums');
    if (!existsSync(sums)) return;
    const files = readFileSync(sums, 'utf8')
      .trimEnd()
      .split('\n')
      .map(line => line.replace(/^\S+ {2}/, ''));
    const there = files.filter(file => existsSync(join(tree, file)));
    writeFileSync(sums, execFileSync('md5sum', there, { cwd: tree }));
  });
}

interface StandInOptions {
  readonly name?: 'tklbam' | 'tklbam3';
  /** The directory in /etc that its fixclock is in; older ones of tklbam3 had it in that of tklbam. */
  readonly conf?: 'tklbam' | 'tklbam3';
  /** In /usr/bin. */
  readonly python?: string;
  /** The time of its hooks.py. */
  readonly mtime?: Date;
}

/** Makes tklbam_VERSION_all.deb: tklbam's paths and its calls of hooks.py, of test/tklbam, and a fixclock. Its path. */
export function buildTklbam(
  directory: string,
  version: string,
  { name = 'tklbam', python = 'python3', mtime = new Date(), conf = name }: StandInOptions = {},
): string {
  const built = join(directory, `${name}_${version}_all.deb`);
  withTree(built, tree => {
    const put = (path: string, content: string, mode = 0o644): void => {
      mkdirSync(join(tree, dirname(path)), { recursive: true });
      place(tree, path, content, mode);
    };
    const library = `usr/lib/${name}`;
    for (const file of readdirSync(sources)) {
      const content = readFileSync(join(sources, file), 'utf8');
      if (file.startsWith('cmd_')) put(`${library}/${file}`, `#!/usr/bin/${python}\n${content}`, 0o755);
      else put(`${library}/${file}`, content.replace('VERSION', version).replace('NAME', name));
    }
    utimesSync(join(tree, library, 'hooks.py'), mtime, mtime);
    mkdirSync(join(tree, 'usr/bin'));
    for (const command of ['backup', 'restore']) {
      symlinkSync(`../lib/${name}/cmd_${command}.py`, join(tree, `usr/bin/${name}-${command}`));
    }
    mkdirSync(join(tree, 'var/lib', name), { recursive: true });
    const fixclock = `etc/${conf}/hooks.d/fixclock`;
    put(fixclock, `#!/bin/sh\necho ${name} ${version}\n`, 0o755);
    put('DEBIAN/conffiles', `/${fixclock}\n`);
    // As a package with Python code does.
    put('DEBIAN/prerm', `#!/bin/sh\nrm -rf /${library}/*.pyc /${library}/__pycache__\n`, 0o755);
    put(
      'DEBIAN/control',
      `Package: ${name}
Version: ${version}
Architecture: all
Maintainer: nobody <nobody@localhost>
Description: stand-in
`,
    );
  });
  return built;
}

/** Makes an empty package of that name, of a version that satisfies everyone: for one of Debian's, which takes its time to install. */
export function buildStandIn(to: string, name: string): void {
  withTree(to, tree => {
    mkdirSync(join(tree, 'DEBIAN'));
    const control = `Package: ${name}
Version: 9
Architecture: all
Maintainer: nobody <nobody@localhost>
Description: stand-in
`;
    place(join(tree, 'DEBIAN'), 'control', control, 0o644);
  });
}

function withTree(deb: string, fill: (tree: string) => void): void {
  const tree = mkdtempSync(`${deb}-`);
  try {
    fill(tree);
    execFileSync('dpkg-deb', ['-Znone', '--root-owner-group', '--build', tree, deb], { stdio: 'pipe' });
  } finally {
    rmSync(tree, { recursive: true });
  }
}
