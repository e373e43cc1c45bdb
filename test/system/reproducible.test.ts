// The same source makes the same bytes, whoever builds it, where and when.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { deb } from '../support/debs.ts';
import { isRoot, scratch } from '../support/harness.ts';
import { repository } from '../support/repository.ts';

/**
 * Builds in a copy ($1, in a directory with a space), as an ordinary user, a year from now, with other settings and programs on the
 * machine. The copy's directories are read in another order: tmpfs has the youngest file first. $0 is the repository, $2 where the
 * products go.
 */
const BUILD = `umask 022
mount -t tmpfs -o mode=755 tmpfs "$1"
mkdir "$1/a copy"
cd "$0"
find build packaging hooks.d src package.json package-lock.json tsconfig.json CHANGELOG.md -type f | LC_ALL=C sort |
  while read -r file; do cp --parents --preserve=mode "$file" "$1/a copy"; done
chmod -R go= "$1/a copy"
find "$1/a copy" -exec touch -h -d '2001-02-03 04:05:06' {} +
mkdir "$1/a copy/node_modules" "$1/a copy/dist" "$1/home"
mount --bind node_modules "$1/a copy/node_modules"
mount -t tmpfs -o mode=755 tmpfs /etc/default
echo 'TKLBAM_HOOKS_TIMEOUT=1s' >/etc/default/tklbam-hooks
mkdir "$1/upper" "$1/overlay"
ln -s nowhere "$1/upper/dangling"
mount -t overlay -o "lowerdir=/usr/bin,upperdir=$1/upper,workdir=$1/overlay" overlay /usr/bin
cd "$1/a copy"
umask 077
unshare --user --map-user=1000 --map-group=1000 env -i HOME="$1/home" PATH="$PATH" TZ=Pacific/Kiritimati LANG=C \\
  LC_ALL=POSIX USER=somebody DPKG_DEB_THREADS_MAX=1 faketime -f +370d sh -ec '
    build/node build/bundle.ts && build/node build/package.ts && build/node build/deb.ts'
cp dist/tklbam-hooks dist/*.deb "$2"`;

test('two builds are the same to the byte', t => {
  assert.ok(isRoot, 'only root can make the other surroundings');
  const products = scratch(t);
  const { status, stdout, stderr } = spawnSync(
    'unshare',
    ['--mount', 'sh', '-ec', BUILD, repository, scratch(t), products],
    { encoding: 'utf8', maxBuffer: 64 << 20 },
  );
  assert.equal(status, 0, stdout + stderr);
  const differing = [join(repository, 'dist/tklbam-hooks'), deb].filter(
    built => !readFileSync(built).equals(readFileSync(join(products, basename(built)))),
  );
  assert.deepEqual(differing, [], differing.map(built => compare(built, products)).join('\n'));
});

/** What differs: in a package, by file; of the executable, which takes a disassembler too long, only where. */
function compare(built: string, products: string): string {
  const again = join(products, basename(built));
  const command =
    built === deb ? ['diffoscope', '--exclude=./usr/bin/tklbam-hooks', '--text=-'] : ['cmp', '--verbose'];
  const { stdout } = spawnSync('timeout', ['60', ...command, built, again], {
    encoding: 'utf8',
    maxBuffer: 1 << 30,
  });
  return `${basename(built)} differs:\n${stdout.slice(0, 10_000)}`;
}

test('package-lock.json has a checksum of every package', () => {
  const { packages } = JSON.parse(readFileSync(join(repository, 'package-lock.json'), 'utf8'));
  for (const [path, { integrity }] of Object.entries<{ integrity?: string }>(packages)) {
    if (path !== '') assert.match(integrity ?? '', /^sha512-/, path);
  }
});
