// What hooks of `pre` write into TKLBAM_HOOK_VIEW: taken from there when each has ended, so that it is known who asked.
import { readFileSync, unlinkSync } from 'node:fs';
import { parseView, type ViewFault } from '../run/view-plan.ts';
import { attempt } from '../system/errno.ts';
import type { Environment, Operation, Result, Sight, ViewEntry } from '../types.ts';

export interface ViewRequests {
  /** What hooks get of it. */
  readonly env: Environment;
  /** To be called when a hook has ended. */
  readonly note: (result: Result) => void;
  /** What all of them asked for; or the first line that cannot be understood. */
  readonly entries: () => readonly ViewEntry[] | ViewFault;
}

/** There is no file until a hook writes one: a session without a view costs nothing. */
export function viewRequests(path: string, operation: Operation, sight: Sight): ViewRequests {
  const entries: ViewEntry[] = [];
  let fault: ViewFault | undefined;
  const remove = (): unknown => attempt(() => unlinkSync(path));
  // Of a session that was cut off.
  remove();
  return {
    // Empty: a caller's own is not of this session. Who restores has no use for what was.
    env: { TKLBAM_HOOK_VIEW: sight === 'none' || operation === 'restore' ? '' : path },
    note: ({ step, outcome }) => {
      const text = attempt(() => readFileSync(path, 'utf8'));
      if (text === undefined) return;
      remove();
      // Whose failure changes nothing has not asked for anything.
      if (outcome.kind !== 'succeeded') return;
      const found = parseView(step.hook.name, text);
      if ('error' in found) fault ??= found;
      else entries.push(...found);
    },
    entries: () => fault ?? entries,
  };
}
