import { escapeControls } from '../cli/text.ts';
import { type Switched, switchOff, switchOn } from '../hooks/switch.ts';
import { isPending } from '../library/state.ts';
import { checkText } from '../report/list.ts';
import type { HookSource, SwitchRequest } from '../types.ts';
import { findProblems } from './check.ts';
import type { Answer, Context } from './context.ts';
import { refuse } from './refuse.ts';

/** Switches hooks on, and says what `check` finds wrong with them then. */
export async function enable(
  { sources, names, statePaths }: SwitchRequest,
  context: Context,
): Promise<Answer> {
  const refused = refuse(localDirectory(sources));
  if (refused !== undefined) return refused;
  const switched = names.map(name => switchOn(sources, name));
  const on = names.filter((_, index) => switched[index]?.kind !== 'failed');
  const answer = describe(switched);
  const settings = { sources, keyrings: undefined, timeoutMs: undefined, statePaths };
  const findings = on.length === 0 ? [] : await findProblems(settings, on, context);
  return { ...answer, out: answer.out + checkText(findings) };
}

/** A ready hook that is switched off is no longer told to start again what it has stopped. */
export function disable({ sources, names, statePaths }: SwitchRequest): Answer {
  const refused = refuse(localDirectory(sources));
  if (refused !== undefined) return refused;
  const switched = names.map((name): Switched => {
    if (!isPending(statePaths.stateDirectory, name)) return switchOff(sources, name);
    const reason = 'it has still to undo something, and is left enabled';
    const remedy = "wait for the end of the backup, or see 'tklbam-hooks recover'";
    return { kind: 'failed', path: name, reason, remedy };
  });
  return describe(switched);
}

const localDirectory = (sources: readonly HookSource[]): string =>
  sources.find(({ kind }) => kind === 'local')?.directory ?? '';

function describe(switched: readonly Switched[]): Answer {
  const lines = switched.map(each => {
    const path = `'${escapeControls(each.path)}'`;
    if (each.kind !== 'failed') return { out: `${path} ${escapeControls(each.how)}\n`, err: '' };
    const why = `${escapeControls(each.reason)} (${escapeControls(each.remedy)})`;
    return { out: '', err: `tklbam-hooks: ${path}: ${why}\n` };
  });
  return {
    status: switched.every(({ kind }) => kind !== 'failed') ? 0 : 1,
    out: lines.map(({ out }) => out).join(''),
    err: lines.map(({ err }) => err).join(''),
  };
}
