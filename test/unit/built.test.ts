import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { built } from '../support/built.ts';

test('what is missing or older than its sources is not tested', t => {
  const root = mkdtempSync(join(tmpdir(), 'tklbam-hooks-built-'));
  t.after(() => rmSync(root, { recursive: true }));
  mkdirSync(join(root, 'src/cli'), { recursive: true });
  const date = (file: string, second: number): void => {
    writeFileSync(join(root, file), '');
    utimesSync(join(root, file), second, second);
  };
  const product = (): string => built('product', ['src', 'package.json'], 'build', root);
  const remedy = "run 'npm run build' first";
  for (const file of ['src/main.ts', 'src/cli/parse.ts', 'package.json']) date(file, 1000);

  assert.throws(product, new Error(`product is missing: ${remedy}`));
  date('product', 1000);
  assert.equal(product(), join(root, 'product'));
  for (const file of ['src/main.ts', 'src/cli/parse.ts', 'package.json']) {
    date(file, 1001);
    assert.throws(product, new Error(`product is older than ${file}: ${remedy}`));
    date(file, 999);
  }
  assert.equal(product(), join(root, 'product'));
});
