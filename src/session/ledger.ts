// The one writer of a session's record, under the lock of its operation.
import { describeErrno, errnoOf } from '../system/errno.ts';
import type { Operation, SessionRecord } from '../types.ts';
import type { Lock } from './flock.ts';
import { owing, save } from './session-file.ts';

export interface Ledger {
  readonly record: () => SessionRecord;
  /** Throws the error of a system call; the record is then as it was. */
  readonly save: (next: SessionRecord) => void;
  /** Saves it if that can be done: what is on disk otherwise is older, and hooks would be told once more. */
  readonly trySave: (next: SessionRecord) => void;
  /** Says what is running, a hook or a command; undefined when it has ended. */
  readonly note: Lock['note'];
  /** Nothing runs any more: the record goes, unless the session has failed and a hook is still owed something. */
  readonly end: (hasSucceeded: boolean) => void;
}

/** `others` are the sessions of the operation that are over and still owe something, with this one left out. */
export function openLedger(
  lock: Lock,
  { stateDirectory, operation }: { readonly stateDirectory: string; readonly operation: Operation },
  others: readonly SessionRecord[],
  first: SessionRecord,
  tell: (line: string) => void,
): Ledger {
  let record = first;
  const write = (sessions: readonly SessionRecord[]): void => save(stateDirectory, operation, sessions);
  const attemptTo = (what: string, rest: string, sessions: readonly SessionRecord[]): void => {
    try {
      write(sessions);
    } catch (error) {
      tell(
        `tklbam-hooks: cannot ${what} the record of the session: ${describeErrno(errnoOf(error))}, ${rest}`,
      );
    }
  };
  return {
    record: () => record,
    save: next => {
      write([...others, next]);
      record = next;
    },
    trySave: next => {
      record = next;
      attemptTo('bring up to date', 'going on', [...others, record]);
    },
    note: lock.note,
    end: hasSucceeded => {
      const rest =
        hasSucceeded || owing(record).length === 0 ? others : [...others, { ...record, isOver: true }];
      const what = rest === others ? 'remove' : 'bring up to date';
      attemptTo(what, "its hooks will be told 'error' once more (tklbam-hooks recover)", rest);
    },
  };
}
