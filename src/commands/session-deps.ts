// What a session needs of this process.
import { loadHooks } from '../hooks/load.ts';
import { type OutputTail, openOutputTail } from '../run/output-tail.ts';
import { performer, type Stagehands } from '../run/perform.ts';
import { endTraced } from '../run/process-tree.ts';
import type { SessionDeps } from '../session/deps.ts';
import { openLog } from '../session/log.ts';
import { tailPath } from '../session/session-file.ts';
import { DEFAULT_GRACE_MS, gracePeriod } from '../system/duration.ts';
import { processId } from '../system/proc.ts';
import { isGoingDown } from '../system/shutdown.ts';
import type { StatePaths } from '../types.ts';
import type { Context } from './context.ts';

export function sessionDeps(
  { statePaths, verbose }: { readonly statePaths: StatePaths; readonly verbose: boolean },
  hands: Pick<Stagehands, 'setting' | 'signals' | 'reaction' | 'callerGone' | 'isAnswered'>,
  context: Context,
  ends: Partial<Pick<SessionDeps, 'callerEnd' | 'interruption' | 'endCallers'>> = {},
): SessionDeps & { readonly close: () => Promise<void> } {
  const log = openLog(statePaths.log, context.tell);
  let tail: OutputTail | undefined;
  const openTail = (): OutputTail | undefined => {
    if (context.env.TKLBAM_HOOKS_KEEP_OUTPUT === 'no') return undefined;
    tail = openOutputTail(tailPath(statePaths.stateDirectory, context.pid), context.passOn);
    return tail;
  };
  return {
    close: async () => {
      tail?.close();
      await log.close();
    },
    loadHooks: settings => loadHooks(settings, context.by),
    perform: performer({ ...hands, openTail, verbose, tell: context.tell, tellError: context.tellError }),
    tell: context.tell,
    tellTurnedAway: error => {
      if (!hands.isAnswered?.()) context.tellError(`HookError: ${error}`);
    },
    log,
    self: processId(context.pid),
    caller: context.parent,
    uid: context.by.uid,
    callerEnd: () => undefined,
    endCallers: async () => {},
    interruption: () => undefined,
    waitSeconds: 2,
    endTraced: trace => endTraced(trace, gracePeriod(context.env) ?? DEFAULT_GRACE_MS),
    openView: async (entries, stage) => (await import('../run/view.ts')).openView(entries, stage),
    endInhabitants: async mounts =>
      (await import('../run/view.ts')).endInhabitants(mounts, gracePeriod(context.env) ?? DEFAULT_GRACE_MS),
    isGoingDown,
    ...ends,
  };
}
