// A real systemd, in a virtual machine: what it reads in the files that /etc/default/tklbam-hooks may be, and the services that the example
// 30-service stops.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { executable } from '../support/built.ts';
import { defaultsFiles } from '../support/defaults-files.ts';
import { scratch } from '../support/harness.ts';
import { repository } from '../support/repository.ts';
import { vmImage } from '../support/vm-image.ts';

test('in a machine with systemd', async t => {
  const work = join(scratch(t), 'work');
  mkdirSync(join(work, 'files'), { recursive: true });
  copyFileSync(executable(), join(work, 'tklbam-hooks'));
  copyFileSync(join(repository, 'packaging/examples/30-service'), join(work, '30-service'));
  copyFileSync(join(repository, 'test/vm/systemd'), join(work, 'test'));
  for (const [index, [text]] of defaultsFiles.entries())
    writeFileSync(join(work, 'files', String(index)), text);
  const { status, stdout, stderr } = spawnSync(
    join(repository, 'test/vm/run'),
    [vmImage(), work, 'bash', 'test'],
    { encoding: 'utf8' },
  );
  assert.equal(status, 0, stdout + stderr);
  const lines = stdout
    .replaceAll('\r', '')
    .split('\n')
    .map(line => line.split('\t'))
    .filter(({ length }) => length === 3);
  const environments = new Map(
    lines.filter(([name]) => name === 'environment').map(([, n, said]) => [n, said]),
  );
  const baseline = environmentOf(environments.get('0'));
  for (const [index, [text, values]] of defaultsFiles.entries()) {
    await t.test(`systemd reads ${JSON.stringify(text)} as we do`, () => {
      const read = environmentOf(environments.get(String(index)));
      const own = Object.entries(read).filter(([name]) => !(name in baseline));
      assert.deepEqual(Object.fromEntries(own), values);
    });
  }
  const services = lines.filter(([name]) => name !== 'environment');
  assert.equal(services.length, 10, stdout + stderr);
  for (const [name, expected, actual] of services)
    await t.test(`30-service: ${name}`, () => assert.equal(actual, expected, stdout));
});

/** As `env -0` prints it, in base64. */
function environmentOf(said: string | undefined): Record<string, string> {
  const text = Buffer.from(said ?? '', 'base64').toString();
  return Object.fromEntries(
    [...text.matchAll(/([^=\0]+)=([^\0]*)\0/g)].map(([, name, value]) => [name, value]),
  );
}
