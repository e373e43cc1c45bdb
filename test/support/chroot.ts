// A clean Debian to install the package in. Only for root.
import { execFileSync, type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { isRoot, scratch } from './harness.ts';
import { repository } from './repository.ts';

export interface Chroot {
  readonly root: string;
  readonly run: (command: readonly string[], options?: ChrootOptions) => SpawnSyncReturns<string>;
}

export interface ChrootOptions {
  /** `host` is for apt alone; a list is the words that enter a network namespace. Default: none. */
  readonly network?: 'host' | readonly string[];
  /** Without /proc, /dev/pts and this repository. */
  readonly bare?: boolean;
  readonly env?: Readonly<Record<string, string>>;
}

/** Unpacks a minimal Debian of that suite with these packages; gone after the test. */
export function openChroot(t: TestContext, suite: string, packages: readonly string[] = []): Chroot {
  return open(t, 'tree', suite, packages, []);
}

/** ... of one for arm64, whose programs are emulated. */
export function openArm64Chroot(t: TestContext, suite: string, packages: readonly string[]): Chroot {
  return open(t, 'arm64-tree', suite, packages, [join(repository, 'test/vm/arm64')]);
}

function open(
  t: TestContext,
  script: string,
  suite: string,
  packages: readonly string[],
  emulator: readonly string[],
): Chroot {
  if (!isRoot) throw new Error('only root can make the chroot that the package is tested in');
  const tree = execFileSync(join(repository, 'test/vm', script), [suite, ...packages], {
    encoding: 'utf8',
  }).trim();
  const root = join(scratch(t), suite);
  mkdirSync(root, { mode: 0o755 });
  execFileSync('tar', ['-C', root, '-xf', tree]);
  // It leaves out manual pages and documentation, and ours are to be installed.
  rmSync(join(root, 'etc/dpkg/dpkg.cfg.d/99mmdebstrap'), { force: true });
  // What is gone after the test need not be on disk before the next step.
  writeFileSync(join(root, 'etc/dpkg/dpkg.cfg.d/99no-fsync'), 'force-unsafe-io\n');
  return { root, run: (command, options = {}) => runIn(root, command, options, emulator) };
}

/** Where this repository is in a chroot. */
export const SOURCE = '/source';

const MOUNT = `mkdir -p "$0/dev/pts" "$0${SOURCE}"
mount -t proc proc "$0/proc"
mount -t devpts devpts "$0/dev/pts"
mount --bind "$1" "$0${SOURCE}"
mount -o remount,bind,ro "$0${SOURCE}"`;
const ENTER = 'root=$0; shift; exec chroot "$root" "$@"';

/** As root with processes and mounts of its own, never with the permission to set the clock. */
function runIn(
  root: string,
  command: readonly string[],
  { network, bare, env }: ChrootOptions,
  emulator: readonly string[],
): SpawnSyncReturns<string> {
  const separate = [
    '--mount',
    '--pid',
    '--fork',
    '--kill-child',
    ...(network === undefined ? ['--net'] : []),
  ];
  const [file = '', ...args] = [
    ...(typeof network === 'object' ? network : []),
    ...emulator,
    ...['setpriv', '--bounding-set=-sys_time', '--inh-caps=-sys_time'],
    ...['unshare', ...separate, 'sh', '-ec', bare ? ENTER : `${MOUNT}\n${ENTER}`, root, repository],
    ...command,
  ];
  return spawnSync(file, args, {
    encoding: 'utf8',
    input: '',
    cwd: '/',
    env: {
      HOME: '/root',
      LC_ALL: 'C.UTF-8',
      PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
      DEBIAN_FRONTEND: 'noninteractive',
      ...(network === 'host' ? proxies() : {}),
      ...env,
    },
    timeout: 1_800_000,
    maxBuffer: 64 << 20,
  });
}

/** The words that run a shell command in what is the root directory of a mount namespace, and no chroot: a view can be had there alone. */
export const inRootDirectory = (root: string, command: string): readonly string[] => [
  ...['nsenter', '--mount=/proc/self/ns/mnt', 'sh', '-euc'],
  `mount --rbind "$0" "$0"; cd "$0"; pivot_root . .; umount -l .; ${command}`,
  root,
];

/** Lets apt in the chroot fetch packages of its suite from the mirror that this machine's own apt uses. */
export function useMirror({ root, run }: Chroot, suite: string): void {
  const format = ['--format', '$(REPO_URI) $(RELEASE)', 'Created-By: Packages'];
  const targets = execFileSync('apt-get', ['indextargets', ...format], { encoding: 'utf8' }).split('\n');
  const mirror = targets.find(target => /^\S+ [a-z]+$/.test(target))?.split(' ')[0];
  if (mirror === undefined) throw new Error("this machine's apt configuration names no Debian mirror");
  writeFileSync(join(root, 'etc/apt/sources.list'), `deb ${mirror} ${suite} main\n`);
  copyFileSync('/etc/resolv.conf', join(root, 'etc/resolv.conf'));
  for (const method of ['http', 'https']) {
    const settings = execFileSync('apt-config', ['dump', `Acquire::${method}`], { encoding: 'utf8' });
    writeFileSync(join(root, `etc/apt/apt.conf.d/90${method}`), settings);
  }
  const { status, stderr } = run(['apt-get', 'update', '-qq'], { network: 'host' });
  if (status !== 0) throw new Error(`apt cannot use the mirror for ${suite}: ${stderr}`);
}

function proxies(): Record<string, string> {
  const entries = Object.entries(process.env).filter(
    (entry): entry is [string, string] => /_proxy$/i.test(entry[0]) && entry[1] !== undefined,
  );
  return Object.fromEntries(entries);
}
