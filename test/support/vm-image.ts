// The virtual machines of the tests that need one.
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { isRoot } from './harness.ts';
import { repository } from './repository.ts';

const PACKAGES = {
  clock: ['ntpsec-ntpdate', 'chrony', 'cron', 'python3'],
  // Of its own: each service takes its time at each boot.
  volumes: [
    ...[
      'ntpsec-ntpdig',
      'python3',
      'cron',
      'lvm2',
      'thin-provisioning-tools',
      'xfsprogs',
      'e2fsprogs',
      'btrfs-progs',
      'restic',
    ],
    ...['rsync', 'postgresql'],
  ],
} as const;

/** Its directory, for test/vm/run. Made once, in a minute or two. */
export function vmImage(kind: keyof typeof PACKAGES = 'clock'): string {
  if (!isRoot) throw new Error('only root can make the image of a virtual machine');
  const script = join(repository, 'test/vm/image');
  return execFileSync(script, PACKAGES[kind], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  }).trim();
}

/** What a tree needs for `vmImageOf`, as test/vm/image has it. */
export const bootable = ['systemd-sysv', 'udev', 'linux-image-cloud-amd64', 'zstd', 'iproute2', 'procps'];

/** Makes one in that directory, which is new, of an unpacked tree, which is changed by that. */
export function vmImageOf(root: string, directory: string): string {
  const script = join(repository, 'test/vm/image');
  return execFileSync(script, ['-r', root, directory], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  }).trim();
}
