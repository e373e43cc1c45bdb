// The one writer of a session's record, under the lock of its operation.
import { describeErrno, errnoOf } from '../system/errno.ts';
import type { Operation, SessionRecord, StartedHook } from '../types.ts';
import type { Lock } from './flock.ts';
import { type FileIdentity, owing, save, update } from './session-file.ts';

export interface Ledger {
  readonly record: () => SessionRecord;
  /** What `record` has of the hook of that path. */
  readonly started: (path: string) => StartedHook | undefined;
  /** Throws the error of a system call; the record is then as it was. */
  readonly save: (next: SessionRecord) => void;
  /** Saves what is now known of one of its hooks, or that there is another. Throws as `save`. */
  readonly update: (hook: StartedHook) => void;
  /** As `update`, if that can be done. */
  readonly tryUpdate: (hook: StartedHook) => void;
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
  let record: Omit<SessionRecord, 'started'> = first;
  // By path: there may be thousands.
  let started = byPath(first);
  /** The file, as long as it has all that was to be saved. */
  let whole: FileIdentity | undefined;
  const write = (sessions: readonly SessionRecord[]): void => {
    whole = undefined;
    whole = save(stateDirectory, operation, sessions);
  };
  const become = (next: SessionRecord): void => {
    record = next;
    started = byPath(next);
  };
  const current = (): SessionRecord => ({ ...record, started: [...started.values()] });
  const add = (hook: StartedHook): void => {
    const file = whole;
    whole = undefined;
    if (file !== undefined && update(stateDirectory, operation, file, record.session, hook)) whole = file;
    else write([...others, { ...record, started: [...new Map(started).set(hook.path, hook).values()] }]);
  };
  const told = new Set<string>();
  const attemptTo = (what: string, rest: string, work: () => void): void => {
    try {
      work();
    } catch (error) {
      const line = `tklbam-hooks: cannot ${what} the record of the session: ${describeErrno(errnoOf(error))}, ${rest}`;
      // Of each hook again, on a full disk.
      if (!told.has(line)) tell(line);
      told.add(line);
    }
  };
  return {
    record: current,
    started: path => started.get(path),
    save: next => {
      write([...others, next]);
      become(next);
    },
    update: hook => {
      add(hook);
      started.set(hook.path, hook);
    },
    tryUpdate: hook => {
      started.set(hook.path, hook);
      attemptTo('bring up to date', 'going on', () => add(hook));
    },
    trySave: next => {
      become(next);
      attemptTo('bring up to date', 'going on', () => write([...others, next]));
    },
    note: lock.note,
    end: hasSucceeded => {
      const rest =
        hasSucceeded || owing(current()).length === 0 ? others : [...others, { ...current(), isOver: true }];
      const what = rest === others ? 'remove' : 'bring up to date';
      attemptTo(what, "its hooks will be told 'error' once more (tklbam-hooks recover)", () => write(rest));
    },
  };
}

const byPath = ({ started }: SessionRecord): Map<string, StartedHook> =>
  new Map(started.map(hook => [hook.path, hook]));
