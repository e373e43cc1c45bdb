import { basename } from 'node:path';
import { escapeControls } from '../cli/text.ts';
import { HOOKS } from '../library/library.ts';
import { readSettings } from '../library/settings.ts';
import type { LibraryRequest } from '../types.ts';
import type { Context } from './context.ts';

/** Does what a ready hook does in a state. Resolves to its exit status. */
export async function library(
  { hook, event, settings, statePaths }: LibraryRequest,
  context: Context,
): Promise<number> {
  const { settings: rules, needs, run } = await HOOKS[hook]();
  const instance = basename(settings).replace(/\.conf$/, '');
  const tell = (line: string): void => context.tell(`${escapeControls(instance)}: ${line}`);
  const { values, problems } = readSettings(settings, rules);
  if (event.state === 'pre' || event.state === 'inspect') {
    for (const { reason, remedy } of problems) tell(`${reason} (${remedy})`);
    if (problems.length > 0) return 1;
    if (values[needs] === undefined) return 0;
  }
  const view = context.env.TKLBAM_HOOK_VIEW || undefined;
  const isSimulated = context.env.TKLBAM_HOOK_SIMULATE === 'yes';
  try {
    return await run(event, { instance, values, isSimulated, statePaths, view, tell });
  } catch (error) {
    tell(escapeControls(error instanceof Error ? error.message : String(error)));
    return 1;
  }
}
