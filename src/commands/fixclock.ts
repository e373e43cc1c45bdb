// fixclock: the built-in hook.
import { fixclock as setClock } from '../library/fixclock/fixclock.ts';
import type { HookEvent } from '../types.ts';
import type { Answer, Context } from './context.ts';

export const fixclock = (
  { event, verbose }: { readonly event: HookEvent; readonly verbose: boolean },
  { env }: Context,
): Answer => ({ out: '', ...setClock(event, env, verbose) });
