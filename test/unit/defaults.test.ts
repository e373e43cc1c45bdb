import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseDefaults } from '../../src/system/defaults.ts';

const files: [string, Record<string, string>][] = [
  ['', {}],
  ['# NTPSERVER=x\n\n', {}],
  ['NTPSERVER=ntp.example\n', { NTPSERVER: 'ntp.example' }],
  ['NTPSERVER="a b"', { NTPSERVER: 'a b' }],
  ["NTPSERVER='a b' # mine\n", { NTPSERVER: 'a b' }],
  ['export A=1\n  B=2\n', { A: '1', B: '2' }],
  ['A=$(id) $HOME `id`\n', { A: '$(id) $HOME `id`' }],
  ['A=1\nA=2\n', { A: '2' }],
];
for (const [text, values] of files) {
  test(`defaults: ${JSON.stringify(text)}`, () =>
    assert.deepEqual(parseDefaults(text), { values, warnings: [] }));
}

test('a line that is no assignment is told, and the rest still counts', () => {
  assert.deepEqual(parseDefaults('NTPSERVER ntp.example\nA=1\n'), {
    values: { A: '1' },
    warnings: ['/etc/default/tklbam-hooks: line 1 is not NAME=VALUE, ignoring it'],
  });
});
