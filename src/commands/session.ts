// session: the guardian that tklbam's side talks to.
import { guard, openControl } from '../session/control.ts';
import { openSession } from '../session/session.ts';
import { closeInherited } from '../system/descriptors.ts';
import type { SessionRequest } from '../types.ts';
import type { Context, Ending } from './context.ts';
import { sessionDeps } from './session-deps.ts';
import { hookSetting } from './setting.ts';

export async function session(request: SessionRequest, context: Context): Promise<Ending> {
  const control = openControl(request.control);
  closeInherited();
  context.leaveDirectory();
  // The caller's Ctrl-C, Ctrl-\ and hang-up are the caller's to act upon.
  const { signals, terminal } = context.listen(['SIGQUIT']);
  const terminated = new AbortController();
  const callerEnd = (): string | undefined => {
    if (!control.gone.aborted) return undefined;
    return `the caller, '${context.parent.name}' (pid ${context.parent.pid}), ${control.gone.reason}`;
  };
  const interruption = (): string | undefined =>
    terminated.signal.aborted
      ? `the guardian of the session was ended by signal ${terminated.signal.reason}`
      : undefined;
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
    },
    context,
    { callerEnd, interruption },
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
          given => ({ ...context.defaults, ...given }),
          terminated.signal,
          () => callerEnd() ?? interruption(),
        ),
    );
    return status !== 0 && terminated.signal.aborted ? 'SIGTERM' : status;
  } finally {
    await deps.log.close();
  }
}
