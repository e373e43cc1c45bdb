// wrap --dry-run: what would run, a line each, and what stands in the way. Runs nothing, and leaves no trace of a session.
import { escapeControls } from '../cli/text.ts';
import { loadHooks } from '../hooks/load.ts';
import { plan } from '../hooks/plan.ts';
import { exitStatus } from '../report/exit-status.ts';
import { dryRun } from '../report/list.ts';
import { describeFailure, describeWarning, messageLine } from '../report/messages.ts';
import { describeNoCommand } from '../report/session-messages.ts';
import { findCommand, searchPath } from '../system/which.ts';
import type { Plan, State, WrapRequest } from '../types.ts';
import type { Context } from './context.ts';

/** Resolves to the exit status that the first of its states would end with, if one does. */
export async function dryRunWrap(request: WrapRequest, context: Context): Promise<number> {
  const { env, tell, tellError, by } = context;
  const { operation, inspect, cwd, command } = request;
  const { listings, judged } = await loadHooks(request, by);
  const planOf = (state: State): Plan =>
    plan({ ...request, event: { operation, state } }, listings, judged, env, 'dry-run');
  const first = planOf('pre');
  const before = [first, ...(inspect === undefined ? [] : [planOf('inspect')])];
  const after = planOf('post');
  const words = command.map(word => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${escapeControls(word)}'`));
  const isPrinted = context.write(`${before.map(dryRun).join('')}${words.join(' ')}\n${dryRun(after)}`);
  for (const warning of after.warnings) tell(`tklbam-hooks: ${describeWarning(warning)}`);
  for (const failure of first.failures) tellError(messageLine(describeFailure(first, failure)));
  const file = findCommand(command[0], cwd, searchPath(env.PATH));
  if (typeof file === 'number') tell(`tklbam-hooks: ${describeNoCommand(command[0], file)}`);
  const ends = [...before, after].map(each =>
    exitStatus({ plan: each, results: [], interruption: undefined }),
  );
  return ends.find(status => status !== 0) ?? (typeof file === 'number' ? file : isPrinted ? 0 : 1);
}
