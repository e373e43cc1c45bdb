// The record of an operation's sessions, as it is on disk.
import { parseRecord } from '../../src/session/session-file.ts';
import type { SessionRecord } from '../../src/types.ts';

interface Frame {
  readonly sessions: readonly SessionRecord[];
}

/** Not judged: what a test expects of it is for the test to say. */
export const frameOf = (text: string): Frame => parseRecord(text) as Frame;

export const sessionsIn = (text: string): readonly SessionRecord[] => frameOf(text).sessions;
