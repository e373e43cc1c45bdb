// What a session does beyond its own record, injected: a test puts a fake runner here.
import type { Observer } from '../run/execute.ts';
import type { View } from '../run/view.ts';
import type { ViewFault } from '../run/view-plan.ts';
import type {
  HookSettings,
  LoadedHooks,
  Plan,
  ProcessId,
  Report,
  SessionRecord,
  Trace,
  ViewEntry,
  ViewMount,
} from '../types.ts';
import type { Log } from './log.ts';

/** Side effects that a session needs, injected. */
export interface SessionDeps {
  /** Hooks are about to be loaded and run: begins with what takes others time. */
  readonly prepare: () => void;
  readonly loadHooks: (settings: HookSettings) => Promise<LoadedHooks>;
  /** Runs a plan, and tells of each failure. */
  readonly perform: (plan: Plan, observer: Observer) => Promise<Report>;
  readonly tell: (line: string) => void;
  /** Tells why there is no session, or no operation, unless the caller does. */
  readonly tellTurnedAway: (error: string) => void;
  readonly log: Log;
  readonly self: ProcessId;
  readonly caller: SessionRecord['caller'];
  readonly uid: number;
  /** Why nobody waits for the operation any more; undefined as long as somebody does. */
  readonly callerEnd: () => string | undefined;
  /** Why the operation is to end, though no hook has failed; undefined as long as it may go on. */
  readonly interruption: () => string | undefined;
  /** How long to wait for a session or a recovery that is just ending, in seconds. */
  readonly waitSeconds: number;
  /** Ends what the caller left running, if it is the caller's end that ends the session. */
  readonly endCallers: () => Promise<void>;
  /** Ends what a guardian that was killed left running. */
  readonly endTraced: (trace: Trace) => Promise<void>;
  /** Makes what the operation is to see in place of the live files; `stage` as `openView` has it. */
  readonly openView: (entries: readonly ViewEntry[], stage: string) => Promise<View | ViewFault>;
  /** Ends who lives in a view, which may be a guardian's that was killed. Resolves to the names of the programs. */
  readonly endInhabitants: (mounts: readonly ViewMount[]) => Promise<readonly string[]>;
  /** Whether the machine is being shut down: what fails then says nothing. */
  readonly isGoingDown: () => boolean;
}
