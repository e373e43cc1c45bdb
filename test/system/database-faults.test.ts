// Backups and restores with hooks for databases, in each of which somebody is killed: a few of what `test/vm/database-faults` does by hundreds.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SOURCE } from '../support/chroot.ts';
import { isThorough } from '../support/releases.ts';
import { LOOPBACK, openServers } from '../support/servers.ts';

const counts = { sqlite: 3, postgresql: 3, mariadb: 2, redis: 2, openldap: 2, etcd: 2 };
for (const [hook, few] of Object.entries(counts)) {
  const count = isThorough ? 10 * few : few;
  test(`${hook}: whoever is killed, the old or the new is in use, and whole`, t => {
    const seed = String(Date.now() % 32768);
    const words = ['bash', `${SOURCE}/test/vm/database-faults`, hook, `${count}`, seed];
    const { status, stdout, stderr } = openServers(t, 'bookworm').run(words, { network: LOOPBACK });
    assert.equal(status, 0, stdout + stderr);
    assert.match(stdout, new RegExp(`^${count} faults of ${hook}, seed \\d+: 0 violations$`, 'm'));
  });
}
