// How what a tool says becomes the reason of a failure.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { run } from '../../src/library/tool.ts';

const reasonOf = (said: string): string =>
  run({ name: 'sh', args: ['-c', 'printf "$0" >&2; exit 2', said] }).reason;

test('the reason is the last line that a tool says, without hints behind a tab', () => {
  assert.equal(reasonOf('warning\\nerror: no room\\n\\n'), 'error: no room');
  assert.equal(
    reasonOf('error: connection refused\\n\\tIs the server running?\\n'),
    'error: connection refused',
  );
  assert.equal(reasonOf('\\tonly a hint\\n'), 'only a hint');
  assert.equal(reasonOf(''), 'sh: status 2');
});
