// What systemd's own parser makes of the files that /etc/default/tklbam-hooks may be: its generator for environment.d(5) has the same one.
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { openChroot } from '../support/chroot.ts';
import { defaultsFiles } from '../support/defaults-files.ts';

// It expands variables, leaves out those that are empty, and shows a line break as \n: what follows the parser differs.
const comparable = defaultsFiles.filter(
  ([text, values]) =>
    !text.includes('$') && !Object.values(values).some(value => value === '' || value.includes('\n')),
);

test('systemd reads the files as we do', async t => {
  const { root, run } = openChroot(t, 'bookworm', ['ntpsec-ntpdate', 'chrony', 'systemd', 'iproute2']);
  mkdirSync(join(root, 'root/files'));
  for (const [index, [text]] of comparable.entries()) writeFileSync(join(root, `root/files/${index}`), text);
  const script = `mkdir -p /etc/environment.d
i=0
while [ -e "/root/files/$i" ]; do
  cp "/root/files/$i" /etc/environment.d/50.conf
  /usr/lib/systemd/user-environment-generators/30-systemd-environment-d-generator >/root/said 2>/dev/null
  env -i sh -ac '. /root/said; env -0' | base64 --wrap 0
  echo
  i=$((i + 1))
done`;
  const { status, stdout, stderr } = run(['sh', '-euc', script]);
  assert.equal(status, 0, stderr);
  const said = stdout.trimEnd().split('\n');
  assert.equal(said.length, comparable.length);
  for (const [index, [text, values]] of comparable.entries()) {
    await t.test(JSON.stringify(text), () => {
      const environ = Buffer.from(said[index] ?? '', 'base64').toString();
      const read = [...environ.matchAll(/([^=\0]+)=([^\0]*)\0/g)].map(([, name, value]) => [name, value]);
      assert.deepEqual(Object.fromEntries(read.filter(([name]) => name !== 'PWD')), values);
    });
  }
});
