// What a session needs of this process.
import { escapeControls } from '../cli/text.ts';
import { loadHooks } from '../hooks/load.ts';
import { prometheusText } from '../report/monitoring.ts';
import { prepareCgroups } from '../run/cgroup-home.ts';
import { restoreOpenFilesLimit } from '../run/launch.ts';
import { type OutputTail, openOutputTail } from '../run/output-tail.ts';
import { performer, type Stagehands } from '../run/perform.ts';
import { endTraced } from '../run/process-tree.ts';
import type { SessionDeps } from '../session/deps.ts';
import { openLog } from '../session/log.ts';
import { tailPath } from '../session/session-file.ts';
import { updateStandings } from '../session/standing.ts';
import { replacePublicly } from '../system/durable-file.ts';
import { DEFAULT_GRACE_MS, gracePeriod } from '../system/duration.ts';
import { describeErrno, errnoOf } from '../system/errno.ts';
import { processId } from '../system/proc.ts';
import { isGoingDown } from '../system/shutdown.ts';
import type { StatePaths } from '../types.ts';
import type { Context } from './context.ts';

export function sessionDeps(
  { statePaths, verbose }: { readonly statePaths: StatePaths; readonly verbose: boolean },
  hands: Pick<Stagehands, 'setting' | 'signals' | 'reaction' | 'callerGone' | 'isAnswered' | 'showsProgress'>,
  context: Context,
  ends: Partial<Pick<SessionDeps, 'callerEnd' | 'interruption' | 'endCallers'>> = {},
): SessionDeps & { readonly close: () => Promise<void> } {
  const log = openLog(statePaths.log, context.tell, (entry, hooks) => {
    const standings = updateStandings(statePaths.stateDirectory, entry, hooks);
    const { metrics } = statePaths;
    if (metrics === undefined || standings === undefined) return;
    try {
      replacePublicly(metrics, prometheusText(standings, context.version));
    } catch (error) {
      const fault = describeErrno(errnoOf(error));
      context.tell(`tklbam-hooks: cannot write TKLBAM_HOOKS_METRICS '${escapeControls(metrics)}': ${fault}`);
    }
  });
  let tail: Promise<OutputTail | undefined> | undefined;
  const openTail = async (): Promise<OutputTail | undefined> => {
    if (context.env.TKLBAM_HOOKS_KEEP_OUTPUT === 'no') return undefined;
    tail ??= openOutputTail(tailPath(statePaths.stateDirectory, context.pid), context.passOn);
    return tail;
  };
  return {
    close: async () => {
      (await tail)?.close();
      await log.close();
    },
    prepare: () => {
      void restoreOpenFilesLimit();
      void openTail();
    },
    loadHooks: settings => {
      prepareCgroups();
      return loadHooks(settings, context.by);
    },
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
