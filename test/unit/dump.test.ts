// A dump: it is verified, summed and written out beside each other, and only if all three succeed does it count.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { ftruncateSync, mkdirSync, readdirSync, readFileSync, readlinkSync, writeSync } from 'node:fs';
import { basename, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Database } from '../../src/library/database/database.ts';
import { dumpAll } from '../../src/library/database/dump.ts';
import { isManifest, readManifest } from '../../src/library/database/manifest.ts';
import type { Context, Problem } from '../../src/library/hook.ts';
import { attempt } from '../../src/system/errno.ts';
import { scratch } from '../support/scratch.ts';

/** It takes a while to sum that. */
const BYTES = 150 * 2 ** 20;

interface Dumped {
  readonly isGood: boolean;
  readonly said: readonly string[];
  /** The content of the dump that the manifest names, if there is one. */
  readonly text: string | undefined;
  readonly left: readonly string[];
}

/** Dumps over a good dump of yesterday. */
async function dump(
  t: TestContext,
  bytes: number,
  verify: (path: string) => Problem | undefined,
  COMPRESS = 'no',
): Promise<Dumped> {
  const directory = join(scratch(t), 'dumps');
  mkdirSync(directory, { mode: 0o700 });
  const said: string[] = [];
  const all = (day: string, size: number, check: typeof verify): Promise<boolean> => {
    const database: Partial<Database> = {
      kind: 'sqlite',
      suffix: '.x',
      survey: () => ({ items: [{ name: 'shop', facts: {} }], problems: [], server: 'none' }),
      dump: (_item, fd) => {
        writeSync(fd, day);
        ftruncateSync(fd, size);
        return { facts: {} };
      },
      verify: check,
    };
    const context = { values: { COMPRESS }, tell: (line: string) => said.push(line) };
    return dumpAll(database as Database, directory, context as unknown as Context);
  };
  assert.ok(await all('yesterday', 9, () => undefined));
  const isGood = await all('today', bytes, verify);
  const manifest = readManifest(directory, 'sqlite');
  assert.ok(isManifest(manifest));
  const [entry] = manifest.entries;
  const path = join(directory, manifest.generation, entry?.file ?? '');
  const content = readFileSync(path);
  assert.equal(createHash('sha256').update(content).digest('hex'), entry?.sha256);
  assert.equal(content.length, entry?.size);
  const text = path.endsWith('.zst') ? undefined : content.toString('latin1', 0, 9).replace(/\0+$/, '');
  const names = readdirSync(directory).filter(each => ![manifest.generation, 'manifest.json'].includes(each));
  return { isGood, said, text, left: names };
}

/** The program that sums, which is our child. */
function summing(): { readonly pid: number; readonly name: string } | undefined {
  const pids = readdirSync('/proc/self/task').flatMap(task =>
    readFileSync(`/proc/self/task/${task}/children`, 'utf8').split(' ').filter(Boolean),
  );
  return pids
    .map(pid => ({ pid: Number(pid), name: basename(attempt(() => readlinkSync(`/proc/${pid}/exe`)) ?? '') }))
    .find(({ name }) => /^(?:openssl|sha256sum)$/.test(name));
}

test('it is summed while it is verified', async t => {
  let isBeside = false;
  const dumped = await dump(t, BYTES, () => {
    isBeside = summing() !== undefined;
    return undefined;
  });
  assert.ok(isBeside);
  assert.deepEqual(dumped, { isGood: true, said: [], text: 'today', left: [] });
});

test('... and one that is compressed, by what it is then', async t => {
  const dumped = await dump(t, BYTES, () => undefined, 'zstd');
  assert.deepEqual(dumped, { isGood: true, said: [], text: undefined, left: [] });
});

const broken = { reason: 'it is not whole', remedy: 'try again' };
for (const COMPRESS of ['no', 'zstd']) {
  test(`what is not whole does not count, and yesterday's does (COMPRESS=${COMPRESS})`, async t => {
    const { isGood, said, left } = await dump(t, BYTES, () => broken, COMPRESS);
    assert.deepEqual(
      { isGood, said, left },
      { isGood: false, said: ['could not dump shop: it is not whole (try again)'], left: [] },
    );
  });
}

test('... nor what cannot be verified', async t => {
  const { isGood, said, text, left } = await dump(t, BYTES, () => {
    throw new Error('no memory');
  });
  assert.deepEqual([isGood, text, left], [false, 'yesterday', []]);
  assert.deepEqual(said, ['could not dump shop: no memory (mend that)']);
});

test('... nor an empty one', async t => {
  const { isGood, said, text, left } = await dump(t, 0, () => undefined);
  assert.deepEqual([isGood, text, left], [false, 'yesterday', []]);
  assert.deepEqual(said, ['could not dump shop: the dump is empty (try it by hand)']);
});

test('... nor one whose sum is not there, since what sums was killed', async t => {
  const { isGood, said, text, left } = await dump(t, BYTES, () => {
    const found = summing();
    assert.ok(found);
    process.kill(found.pid, 'SIGKILL');
    return undefined;
  });
  assert.deepEqual([isGood, text, left], [false, 'yesterday', []]);
  assert.match(
    said.join('\n'),
    /^could not dump shop: cannot read '.*': \w+: killed by SIGKILL \(mend that\)$/,
  );
});
