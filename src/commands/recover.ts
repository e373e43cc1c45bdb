// recover: `error` for sessions that were cut off, and for what is still owed.
import { escapeControls } from '../cli/text.ts';
import { describePending, localTime } from '../report/session-messages.ts';
import { describeRefusal } from '../report/verdicts.ts';
import { ENDING } from '../run/signals.ts';
import { forget, recover as recoverSessions, unfinished } from '../session/recovery.ts';
import { owing, refuseStateDirectory } from '../session/session-file.ts';
import { closeInherited } from '../system/descriptors.ts';
import type { RecoverRequest } from '../types.ts';
import type { Context, Ending } from './context.ts';
import { sessionDeps } from './session-deps.ts';
import { hookSetting, isSparedHangup } from './setting.ts';

export async function recover(request: RecoverRequest, context: Context): Promise<Ending> {
  const { statePaths, operations, dryRun } = request;
  if (dryRun) {
    const records = unfinished(statePaths, context.by.uid).flatMap(each =>
      each.kind === 'cut-off' || each.kind === 'owing' ? [each.record] : [],
    );
    return context.print(
      records
        .filter(({ operation }) => operations.includes(operation))
        .map(describePending)
        .join(''),
    );
  }
  const refusal = refuseStateDirectory(statePaths.stateDirectory, context.by.uid);
  if (refusal !== undefined) {
    const { reason } = describeRefusal(refusal, undefined);
    const directory = escapeControls(statePaths.stateDirectory);
    context.tell(
      `tklbam-hooks: not using the records in '${directory}': ${reason} (it must be root's alone)`,
    );
    return 1;
  }
  closeInherited();
  context.leaveDirectory();
  const { signals, terminal } = context.listen();
  const deps = sessionDeps(
    { statePaths, verbose: false },
    {
      setting: hookSetting(terminal),
      showsProgress: true,
      signals,
      reaction: (signal, state) =>
        !ENDING.includes(signal) || isSparedHangup(signal, state, terminal) ? 'ignored' : 'handled',
    },
    context,
  );
  try {
    if (!request.forget) {
      const { owes, interruption } = await recoverSessions(statePaths, operations, context.env, deps);
      return interruption ?? (owes ? 1 : 0);
    }
    let status = 0;
    for (const operation of operations) {
      const forgotten = forget(statePaths, operation, deps);
      if (forgotten === undefined) {
        context.tell(`tklbam-hooks: a ${operation} session is running, nothing of it is forgotten`);
        status = 1;
      }
      for (const record of forgotten ?? []) {
        const paths = owing(record).map(({ path }) => `'${escapeControls(path)}'`);
        const what = paths.length === 0 ? 'no hook' : paths.join(', ');
        context.tell(
          `tklbam-hooks: the ${operation} of ${localTime(record.since)} owes ${what} nothing any more`,
        );
      }
    }
    return status;
  } finally {
    await deps.close();
  }
}
