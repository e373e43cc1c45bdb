// Restores in which somebody is killed before or after a server is stopped or started, or before a tool is called.
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

for (const hook of isThorough ? ['postgresql', 'mariadb', 'redis', 'openldap', 'etcd'] : []) {
  test(`${hook}: whoever is killed before the call of a tool, the old or the new is in use, and whole`, t => {
    const words = ['bash', `${SOURCE}/test/vm/database-faults`, hook, 'tools', 'server', 'everything'];
    const { status, stdout, stderr } = openServers(t, 'bookworm').run(words, { network: LOOPBACK });
    assert.equal(status, 0, stdout + stderr);
    const [, struck] = /^(\d+) calls of tools by \w+: 0 violations$/m.exec(stdout) ?? [];
    assert.ok(Number(struck) >= 20, stdout + stderr);
  });
}
