// run: the hooks of a state.
import { UsageError } from '../cli/usage-error.ts';
import { loadHooks } from '../hooks/load.ts';
import { plan } from '../hooks/plan.ts';
import { exitStatus } from '../report/exit-status.ts';
import { dryRun } from '../report/list.ts';
import { startIn } from '../run/directory.ts';
import { restoreOpenFilesLimit } from '../run/launch.ts';
import { performer } from '../run/perform.ts';
import { ENDING } from '../run/signals.ts';
import { closeInherited } from '../system/descriptors.ts';
import { isDirectory } from '../system/errno.ts';
import type { RunRequest } from '../types.ts';
import type { Context, Ending } from './context.ts';
import { hookSetting, isSparedHangup } from './setting.ts';

export async function run(request: RunRequest, context: Context): Promise<Ending> {
  if (!isDirectory(startIn(request.cwd))) throw new UsageError(`--cwd '${request.cwd}' is not a directory`);
  const { env } = context;
  // Goes on while hooks are read and judged.
  if (!request.dryRun) void restoreOpenFilesLimit();
  const { listings, judged } = await loadHooks(request, context.by);
  const session = env.TKLBAM_HOOK_SESSION || `${Date.now().toString(36)}-${context.pid}`;
  const whole = plan(request, listings, judged, env, session);
  const isPrinted = !request.dryRun || context.write(dryRun(whole));

  closeInherited();
  const { signals, terminal } = context.listen();
  const perform = performer({
    ...context,
    setting: hookSetting(terminal),
    signals,
    reaction: (signal, state) =>
      !ENDING.includes(signal) || isSparedHangup(signal, state, terminal) ? 'ignored' : 'handled',
    verbose: request.verbose,
    showsProgress: true,
  });
  const planned = request.dryRun ? { ...whole, steps: [] } : whole;
  const report = await perform(planned, {
    starts: step => step,
    traced: () => undefined,
    ended: () => undefined,
  });
  return report.interruption ?? (exitStatus(report) || (isPrinted ? 0 : 1));
}
