// session: the guardian that tklbam's side talks to.
import { escapeControls } from '../cli/text.ts';
import { CALLER_TAG } from '../hooks/plan.ts';
import { callerProcesses } from '../run/caller.ts';
import { restoreOpenFilesLimit } from '../run/launch.ts';
import { guard, openControl } from '../session/control.ts';
import { openSession } from '../session/session.ts';
import { adoptStreams, closeInherited } from '../system/descriptors.ts';
import { DEFAULT_GRACE_MS, gracePeriod } from '../system/duration.ts';
import { isAlive, processId } from '../system/proc.ts';
import type { SessionRequest } from '../types.ts';
import type { Context, Ending } from './context.ts';
import { sessionDeps } from './session-deps.ts';
import { hookSetting } from './setting.ts';

export async function session(request: SessionRequest, context: Context): Promise<Ending> {
  const control = openControl(request.control);
  const callerId = processId(context.parent.pid);
  closeInherited();
  // Goes on while `pre` is waited for.
  void restoreOpenFilesLimit();
  context.leaveDirectory();
  // The caller's Ctrl-C, Ctrl-\ and hang-up are the caller's to act upon.
  const { signals, terminal } = context.listen(['SIGQUIT']);
  const terminated = new AbortController();
  const caller = `the caller, '${escapeControls(context.parent.name)}' (pid ${context.parent.pid})`;
  const callerEnd = (): string | undefined =>
    control.gone.aborted ? `${caller}, ${control.gone.reason}` : undefined;
  const interruption = (): string | undefined =>
    terminated.signal.aborted
      ? `the guardian of the session was ended by signal ${terminated.signal.reason}`
      : undefined;
  control.gone.addEventListener('abort', () => {
    if (isAlive(callerId)) adoptStreams(callerId.pid);
  });
  const callers = callerProcesses(callerId);
  const endCallers = (): Promise<void> => callers.end(gracePeriod(context.env) ?? DEFAULT_GRACE_MS);
  const terminate = (signal: NodeJS.Signals): void => terminated.abort(signal);
  const deps = sessionDeps(
    request,
    {
      setting: hookSetting(terminal, request.ignoredSignals),
      signals,
      reaction: (signal, state) => {
        if (signal !== 'SIGTERM') return 'ignored';
        if (state === 'error') return 'deferred';
        terminate(signal);
        return 'handled';
      },
      callerGone: control.gone,
      isAnswered: () => !control.gone.aborted,
    },
    // tklbam copies what its terminal shows to a log: no colours.
    { ...context, tellError: context.tell },
    { callerEnd, interruption, endCallers },
  );
  try {
    const status = await signals.during(
      signal => {
        if (signal !== 'SIGTERM') return 'ignored';
        terminate(signal);
        return 'handled';
      },
      () =>
        guard(
          control,
          openSession(request, deps),
          given => {
            callers.note(given[CALLER_TAG]);
            return { ...context.defaults, ...given };
          },
          terminated.signal,
          () => callerEnd() ?? interruption(),
        ),
    );
    return status !== 0 && terminated.signal.aborted ? 'SIGTERM' : status;
  } finally {
    await deps.close();
  }
}
