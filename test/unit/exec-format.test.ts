import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { isNative, program } from '../../src/hooks/exec-format.ts';

const script = (interpreter: string, argument = '') => ({ kind: 'script', interpreter, argument });

const heads: [string, unknown][] = [
  ['#!/bin/sh\necho', script('/bin/sh')],
  ['#!/bin/sh', script('/bin/sh')],
  ['#! \t/bin/sh \t-e -u  \necho', script('/bin/sh', '-e -u')],
  ['#!/bin/sh\r\necho\r\n', script('/bin/sh\r')],
  ['#!/usr/bin/env python3\r\n', script('/usr/bin/env', 'python3\r')],
  ['#!sh\n', script('sh')],
  ['#!/bin/s\xc3\xa9\n', script('/bin/s\xc3\xa9')],
  ['#!/bin/sh\0rest\n', script('/bin/sh')],
  ['#!\necho', { kind: 'interpreter-line', fault: 'bare' }],
  ['#! \t\necho', { kind: 'interpreter-line', fault: 'bare' }],
  [`#!/${'x'.repeat(252)}\n`, script(`/${'x'.repeat(252)}`)],
  [`#!/${'x'.repeat(253)}\n`, { kind: 'interpreter-line', fault: 'long' }],
  [`#!/bin/sh ${'x'.repeat(300)}`, { kind: 'interpreter-line', fault: 'long' }],
  ['echo hello\n', { kind: 'shell-text' }],
  ['echo hello\n\0', { kind: 'shell-text' }],
  ['\xef\xbb\xbf#!/bin/sh\n', { kind: 'byte-order-mark' }],
  ['ab\0c\n', { kind: 'garbage' }],
  ['\x7fELF', { kind: 'garbage' }],
];
for (const [head, expected] of heads) {
  test(`a file that starts with ${JSON.stringify(head)}`, () => {
    assert.deepEqual(program(Buffer.from(head, 'latin1')), expected);
  });
}

test('this Node.js is a program of this architecture, with a loader', () => {
  const found = program(readFileSync(process.execPath).subarray(0, 4096));
  assert.ok(found.kind === 'elf');
  assert.ok(isNative(found.machine, process.arch));
  assert.match(found.loader ?? '', /^\/lib.*\/ld-linux/);
});

test('a binary for s390x is not native', () => {
  const head = Buffer.alloc(64);
  head.write('\x7fELF\x02\x02', 'latin1');
  head.writeUInt16BE(2, 16);
  head.writeUInt16BE(22, 18);
  assert.deepEqual(program(head), { kind: 'elf', machine: 22, loader: undefined });
  assert.ok(!isNative(22, 'x64'));
});
