// A record of a session as tests of texts want it: names that have to be escaped, and hooks that are told, owed and given up.
import type { SessionRecord } from '../../src/types.ts';

export const since = '2026-11-25T01:02:03.000Z';

export const record: SessionRecord = {
  session: 'l0-1',
  operation: 'backup',
  name: 'restic',
  since,
  uptime: 12.5,
  guardian: { pid: 7, start: 9, boot: 'b' },
  caller: { pid: 6, name: 'tkl\nbam' },
  state: 'inspect',
  command: null,
  sources: [],
  keyrings: null,
  timeoutMs: null,
  carriedEnv: {},
  started: [
    { path: '/d/a', attempts: 3, isSettled: false },
    { path: '/d/b', attempts: 1, isSettled: false },
    { path: '/d/c', attempts: 0, isSettled: true },
    { path: '/d/d\u202e', attempts: 0, isSettled: false },
  ],
  error: null,
  failed: '',
  isOver: false,
};
