import { escapeControls } from '../cli/text.ts';
import { describePathRefusal } from '../report/verdicts.ts';
import { pathRefusal } from '../system/trust.ts';
import type { Answer } from './context.ts';

/** The answer to a request to change something in a directory where somebody else decides what we would change; undefined if nobody does. */
export function refuse(directory: string): Answer | undefined {
  const refusal = pathRefusal(directory);
  if (refusal === undefined) return undefined;
  const { reason, remedy } = describePathRefusal(refusal, directory);
  const err = `tklbam-hooks: ${reason}, nothing is changed in '${escapeControls(directory)}' (${remedy})\n`;
  return { status: 3, out: '', err };
}
