// Twenty machines, of which one fails, one is late and one owes a hook, by Debian's prometheus, node_exporter and alertmanager; and promtool on
// the metrics, and on the alerts and the dashboard of packaging/examples/fleet.
import assert from 'node:assert/strict';
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { executable } from '../support/built.ts';
import { openChroot, SOURCE } from '../support/chroot.ts';
import { textsOf } from '../support/transcript.ts';

test('a fleet in Prometheus', async t => {
  const { root, run } = openChroot(t, 'bookworm', [
    ...['prometheus', 'prometheus-node-exporter', 'prometheus-alertmanager', 'curl', 'python3', 'procps'],
    'iproute2',
  ]);
  copyFileSync(executable(), join(root, 'usr/bin/tklbam-hooks'));
  const { stdout, stderr } = run(['bash', `${SOURCE}/test/vm/prometheus`]);
  const transcript = stdout.split('\n');
  const says = (name: string, expected: readonly string[]): void =>
    assert.deepEqual(textsOf(transcript, name), expected, stdout + stderr);
  await t.test('promtool finds nothing wrong with the metrics', () => says('lint', [' 0']));
  await t.test('nor with the alerts, which fire when they are to, and not before', () => {
    assert.match(textsOf(transcript, 'rules').join(), /SUCCESS: 5 rules found/, stdout + stderr);
    says('rules-test', ['0']);
  });
  await t.test('all machines are there, that of node_exporter among them', () => says('machines', ['20']));
  await t.test('the failing, the late and the owing one each fire, and no other', () =>
    says('alerts', [
      'machine12 BackupTooOld,machine16 BackupFailed,machine16 BackupOwesHooks,machine7 BackupFailed',
    ]),
  );
  await t.test('each panel of the dashboard has an answer', () => {
    const panels = transcript.filter(line => line.startsWith('panel '));
    assert.equal(panels.length, 5, stdout + stderr);
    for (const panel of panels) assert.match(panel, /\tanswered$/, stdout + stderr);
  });
});
