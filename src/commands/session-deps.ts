// What a session needs of this process.
import { loadHooks } from '../hooks/load.ts';
import { performer, type Stagehands } from '../run/perform.ts';
import { end, processId, taggedProcesses } from '../run/process-tree.ts';
import type { SessionDeps } from '../session/deps.ts';
import { openLog } from '../session/log.ts';
import { DEFAULT_GRACE_MS, gracePeriod } from '../system/duration.ts';
import { isGoingDown } from '../system/shutdown.ts';
import type { StatePaths } from '../types.ts';
import type { Context } from './context.ts';

export function sessionDeps(
  { statePaths, verbose }: { readonly statePaths: StatePaths; readonly verbose: boolean },
  hands: Pick<Stagehands, 'setting' | 'signals' | 'reaction' | 'callerGone' | 'isAnswered'>,
  context: Context,
  ends: Partial<Pick<SessionDeps, 'callerEnd' | 'interruption'>> = {},
): SessionDeps {
  return {
    loadHooks: settings => loadHooks(settings, context.by),
    perform: performer({ ...hands, verbose, tell: context.tell, tellError: context.tellError }),
    tell: context.tell,
    tellTurnedAway: error => {
      if (!hands.isAnswered?.()) context.tellError(`HookError: ${error}`);
    },
    log: openLog(statePaths.log, context.tell),
    self: processId(context.pid),
    caller: context.parent,
    uid: context.by.uid,
    callerEnd: () => undefined,
    interruption: () => undefined,
    waitSeconds: 2,
    endTagged: tag =>
      end(
        taggedProcesses(tag),
        'SIGTERM',
        gracePeriod(context.env) ?? DEFAULT_GRACE_MS,
        new AbortController().signal,
      ),
    isGoingDown,
    ...ends,
  };
}
