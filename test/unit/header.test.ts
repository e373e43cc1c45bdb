import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NO_HEADER, parseHeader } from '../../src/hooks/header.ts';
import { parseDuration } from '../../src/system/duration.ts';
import type { Header } from '../../src/types.ts';

const H = '# tklbam-hooks:';
const fault = (text: string, line = 1): Partial<Header> => ({ faults: [{ line, text }] });
const headers: [string, Partial<Header>][] = [
  ['', {}],
  ['#!/bin/sh\n', {}],
  [`${H}\n`, {}],
  [`${H} timeout=20m failure=warn\n`, { timeoutMs: 1_200_000, failure: 'warn' }],
  [`${H} timeout=20m\n${H} failure=warn\n`, { timeoutMs: 1_200_000, failure: 'warn' }],
  [`  #tklbam-hooks: timeout=0\r\n`, { timeoutMs: 0 }],
  [`${H} timeout=1h30m`, { timeoutMs: 5_400_000 }],
  [`${H} always`, { always: true }],
  [`${H} always secrets=yes`, { always: true, secrets: true }],
  [`${H} secrets=no`, {}],
  // Half of it understood is none of it.
  [`${H} timeout=5 minutes`, fault('minutes')],
  [`${H} timeout=5, failure=warn`, fault('timeout=5,')],
  [`${H} failure=warn timeout = 5m`, fault('timeout = 5m')],
  [`${H} failure=warn # it may fail`, fault('# it may fail')],
  [`${H} secrets`, fault('secrets')],
  [`${H} always=yes`, fault('always=yes')],
  [`${H} failure=warn=1`, fault('failure=warn=1')],
  [`${H} timeout=501h`, fault('timeout=501h')],
  [`${H} failure=warn\n${H} timeout=5 min\n`, { failure: 'warn', ...fault('min', 2) }],
  // Meant, and written in another way.
  ['# tklbam-hooks timeout=5m', fault('# tklbam-hooks timeout=5m')],
  ['# tklbam-hook: failure=warn', fault('# tklbam-hook: failure=warn')],
  ['# TKLBAM-Hooks: always', fault('# TKLBAM-Hooks: always')],
  ['## tklbam-hooks: secrets=yes', fault('## tklbam-hooks: secrets=yes')],
  ['// tklbam-hooks: timeout=5m', fault('// tklbam-hooks: timeout=5m')],
  // Prose.
  ['# tklbam-hooks always tells it', {}],
  ['# what tklbam-hooks: timeout=5m would do', {}],
  ['# tklbam-hooks is not installed', {}],
];
for (const [text, expected] of headers) {
  test(`header ${JSON.stringify(text)}`, () => {
    assert.deepEqual(parseHeader(Buffer.from(text), true), { ...NO_HEADER, ...expected });
  });
}
test('a line that is cut off does not count', () => {
  assert.deepEqual(parseHeader(Buffer.from(`${H} timeout=1`), false), NO_HEADER);
});

const durations: [string, number | undefined][] = [
  ['90', 90],
  ['90s', 90],
  ['5m', 300],
  ['6h', 21_600],
  ['1d', 86_400],
  ['1h30m', 5_400],
  ['1d12h', 129_600],
  ['1d1h1m1s', 90_061],
  ['0', 0],
  ['0s', 0],
  ['500h', 1_800_000],
  ['20d20h', 1_800_000],
  ...[
    '501h',
    '20d20h1s',
    '21d',
    '30m1h',
    '1h30',
    '1h1h',
    '5 m',
    '5M',
    '5min',
    '1.5h',
    '-1',
    '+1',
    's',
    '',
    ' 5',
  ].map((text): [string, undefined] => [text, undefined]),
];
for (const [text, seconds] of durations) {
  test(`duration '${text}'`, () => {
    assert.equal(parseDuration(text), seconds === undefined ? undefined : seconds * 1000);
  });
}
