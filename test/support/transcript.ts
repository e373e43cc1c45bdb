// What a script in a container or a virtual machine says for its test: lines of a name, a tab and a text.
import assert from 'node:assert/strict';

/** The texts of that name, in order. */
export const textsOf = (transcript: readonly string[], name: string): string[] =>
  transcript.filter(line => line.startsWith(`${name}\t`)).map(line => line.slice(name.length + 1));

/** Compares all texts of each name; a failure shows all that was said. */
export function assertSaid(
  transcript: readonly string[],
  expected: Readonly<Record<string, readonly string[]>>,
): void {
  const actual = Object.fromEntries(Object.keys(expected).map(name => [name, textsOf(transcript, name)]));
  assert.deepEqual(actual, expected, transcript.join('\n'));
}
