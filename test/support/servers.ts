// A Debian with every server that the hooks of the library dump, the executable, and the hooks, switched off.
import { copyFileSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { executable } from './built.ts';
import { type Chroot, openChroot } from './chroot.ts';
import type { Suite } from './releases.ts';
import { repository } from './repository.ts';

/** One tree for each release, so that it is made once. */
const SERVERS: readonly string[] = [
  ...['postgresql', 'mariadb-server', 'redis-server', 'slapd', 'ldap-utils', 'sqlite3'],
  ...['etcd-server', 'etcd-client', 'restic', 'python3', 'zstd', 'procps'],
];

/** For servers that listen on 127.0.0.1: the words for `network` of a chroot. */
export const LOOPBACK = ['unshare', '--net', 'sh', '-ec', 'ip link set lo up; exec "$@"', 'sh'] as const;

/** Gone after the test. */
export const openServers = (t: TestContext, suite: Suite): Chroot => withHooks(openChroot(t, suite, SERVERS));

/** ... with borgmatic, in the first release whose borgmatic has all that it is compared with. */
export const openCases = (t: TestContext, server: 'postgresql' | 'mariadb-server' | 'sqlite3'): Chroot =>
  withHooks(openChroot(t, 'trixie', [server, 'borgmatic', 'borgbackup', 'procps']));

/** Debian has Valkey since 13. */
export const openValkey = (t: TestContext): Chroot =>
  withHooks(openChroot(t, 'trixie', ['valkey-server', 'restic', 'python3', 'procps']));

function withHooks(chroot: Chroot): Chroot {
  copyFileSync(executable(), join(chroot.root, 'usr/bin/tklbam-hooks'));
  const hooks = join(chroot.root, 'etc/tklbam/hooks.d');
  mkdirSync(hooks, { recursive: true });
  for (const name of readdirSync(join(repository, 'hooks.d')).filter(each => each !== 'fixclock'))
    copyFileSync(join(repository, 'hooks.d', name), join(hooks, name));
  return chroot;
}
