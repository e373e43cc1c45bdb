// library: what a ready hook does, in a state or on demand.
import { basename } from 'node:path';
import { escapeControls } from '../cli/text.ts';
import type { Context as LibraryContext } from '../library/hook.ts';
import { HOOKS } from '../library/library.ts';
import { readSettings } from '../library/settings.ts';
import type { LibraryRequest } from '../types.ts';
import type { Context } from './context.ts';

/** Does what a ready hook does in a state. Resolves to its exit status. */
export async function library(
  { hook, event, verify: verified, settings, statePaths, cwd }: LibraryRequest,
  context: Context,
): Promise<number> {
  const { settings: rules, needs, run, verify } = await HOOKS[hook]();
  const instance = basename(settings).replace(/\.conf$/, '');
  const tell = (line: string): void => context.tell(`${escapeControls(instance)}: ${line}`);
  const { values, problems } = readSettings(settings, rules);
  const { env } = context;
  const skips = env[`TKLBAM_${event.operation.toUpperCase()}_SKIP_DATABASE`];
  const given: LibraryContext = {
    instance,
    values,
    isSimulated: env.TKLBAM_HOOK_SIMULATE === 'yes',
    isResumed: env.TKLBAM_HOOK_RESUME === 'yes',
    skipsDatabases: skips === 'yes',
    willInspect: env.TKLBAM_HOOK_INSPECT !== 'no',
    directory: cwd,
    statePaths,
    news: {
      name: env.TKLBAM_HOOK_COMMAND ?? '',
      error: env.TKLBAM_HOOK_ERROR ?? '',
      warning: env.TKLBAM_HOOK_WARNING ?? '',
      failed: env.TKLBAM_HOOK_FAILED ?? '',
    },
    view: env.TKLBAM_HOOK_VIEW || undefined,
    tell,
  };
  if (verified !== undefined) {
    if (verify !== undefined) return verify(verified.directory, given);
    tell(`it makes no dumps that could be verified`);
    return 1;
  }
  if (event.state === 'pre' || event.state === 'inspect') {
    for (const { reason, remedy } of problems) tell(`${reason} (${remedy})`);
    if (problems.length > 0) return 1;
    if (values[needs] === undefined) return 0;
  }
  try {
    return await run(event, given);
  } catch (error) {
    tell(escapeControls(error instanceof Error ? error.message : String(error)));
    return 1;
  }
}
