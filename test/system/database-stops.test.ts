// Restores that stop a server, in which somebody is killed before or after it is stopped or started.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SOURCE } from '../support/chroot.ts';
import { isThorough } from '../support/releases.ts';
import { LOOPBACK, openServers } from '../support/servers.ts';

/** Who is killed. */
const targets = isThorough ? ['hook', 'everything', 'script'] : ['everything'];

for (const hook of ['mariadb', 'redis', 'openldap', 'etcd']) {
  test(`${hook}: whoever is killed while the server is stopped or started, it runs in the end`, t => {
    const words = ['bash', `${SOURCE}/test/vm/database-faults`, hook, 'stops', ...targets];
    const { status, stdout, stderr } = openServers(t, 'bookworm').run(words, { network: LOOPBACK });
    assert.equal(status, 0, stdout + stderr);
    const [, struck] = /^(\d+) starts and stops of \w+: 0 violations$/m.exec(stdout) ?? [];
    // Each before and after, of a start and a stop at least.
    assert.ok(Number(struck) >= 4 * targets.length, stdout + stderr);
  });
}
