// What a user without any right does against root's runs of the installed package: test/attacks/strangers, in a root directory that lies over
// this machine's and goes with the test. More of it is in attacks.test.ts, and of its kind in test/cli (trust, hostile, signature, resolve).
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { deb } from '../support/debs.ts';
import { repository } from '../support/repository.ts';

const SET_UP = `
package=$1 repository=$2
mount -t tmpfs -o mode=755 none /mnt
mkdir /mnt/upper /mnt/work /mnt/root
mount -t overlay overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work /mnt/root
cd /mnt/root
rm -rf etc/tklbam var/lib/tklbam-hooks var/log/tklbam-hooks.log
cp "$package" mnt/package.deb
install -m 755 "$repository/test/attacks/strangers" usr/bin/strangers
mount -t proc proc proc
mount -t tmpfs -o mode=755 none dev
mkdir dev/pts
mount -t devpts -o newinstance,ptmxmode=666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
for each in null zero full random urandom tty; do touch "dev/$each"; mount --bind "/dev/$each" "dev/$each"; done
# Without a tool that sets clocks, maybe.
chroot . dpkg --force-depends --force-unsafe-io --install /mnt/package.deb >&2
exec chroot . strangers`;

test('nothing that a user does makes root run it, change what is not to be changed, hang, or be told that all is well', () => {
  const apart = ['--mount', '--pid', '--fork', '--kill-child', '--net'];
  const { status, stdout, stderr } = spawnSync(
    'setpriv',
    [
      // The clock of this machine is nobody's here.
      ...['--bounding-set=-sys_time', '--inh-caps=-sys_time', 'unshare', ...apart],
      ...['sh', '-ec', SET_UP, 'sh', deb, repository],
    ],
    { encoding: 'utf8', cwd: '/', env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C.UTF-8' } },
  );
  assert.equal(status, 0, stdout + stderr);
  const attacks = stdout
    .trimEnd()
    .split('\n')
    .map(line => line.split('\t'));
  console.log(`${attacks.length} attacks were tried`);
  assert.ok(attacks.length > 90, stdout + stderr);
  assert.deepEqual(
    attacks.filter(([, outcome]) => outcome !== 'refused'),
    [],
    stderr,
  );
});
