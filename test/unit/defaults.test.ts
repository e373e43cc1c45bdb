import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseDefaults } from '../../src/system/defaults.ts';
import { defaultsFiles } from '../support/defaults-files.ts';

for (const [text, values] of defaultsFiles) {
  test(`defaults: ${JSON.stringify(text)}`, () => {
    const parsed = parseDefaults(text);
    assert.deepEqual(parsed.values, values);
  });
}

const wrong: [string, string][] = [
  ['NTPSERVER ntp.example\nA=1\n', 'line 1 is not NAME=VALUE'],
  ['A=1\n\n1B=2\n', 'line 3 is not NAME=VALUE'],
  ['=2\nA=1\n', 'line 1 is not NAME=VALUE'],
  ['export B=2\nA=1\n', "line 1 begins with 'export', which is for shells"],
  ['A=1\nB="two\nlines\n', 'line 2 has a quote that is not closed'],
  ["A=1\nB='\n", 'line 2 has a quote that is not closed'],
  ['A=1\nB=\ufffd\n', 'line 2 is not valid UTF-8'],
  ['A=1\nC=a\\\nb\\\nc d\nB\n', 'line 5 is not NAME=VALUE'],
];
for (const [text, what] of wrong) {
  test(`defaults: ${JSON.stringify(text)} is told, and the rest still counts`, () => {
    const { values, warnings } = parseDefaults(text);
    assert.deepEqual(warnings, [`/etc/default/tklbam-hooks: ${what}, ignoring it`]);
    assert.equal(values.A, '1');
    assert.ok(!('B' in values));
  });
}

test('a comment, an empty value and a blank line are no warning', () => {
  assert.deepEqual(parseDefaults('# A=1\n;B=2\n\n  \nC=\n').warnings, []);
});
