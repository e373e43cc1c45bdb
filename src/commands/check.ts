// check: what would keep hooks from running, found by day.

import { wrap } from '../cli/text.ts';
import { check as findFaults } from '../hooks/check.ts';
import { loadHooks } from '../hooks/load.ts';
import { clockProblem } from '../library/fixclock/fixclock.ts';
import { libraryProblems } from '../library/library.ts';
import { checkJson, checkText } from '../report/list.ts';
import type { CheckRequest, Finding, HookSettings, StatePaths } from '../types.ts';
import type { Context } from './context.ts';

const NOTHING = 'Nothing found that would keep hooks from running.\n';
const status = (findings: readonly Finding[]): number => (findings.length === 0 ? 0 : 1);

export async function check(request: CheckRequest, context: Context): Promise<number> {
  const findings = await findProblems(request, request.names, context);
  if (request.json) return context.print(checkJson(findings)) || status(findings);
  const { isTerminal, columns } = context.screen();
  if (!isTerminal) return context.print(checkText(findings)) || status(findings);
  // Cron would mail it.
  if (findings.length === 0) return context.print(NOTHING);
  const lines = checkText(findings)
    .trimEnd()
    .split('\n')
    .map(line => wrap(line, columns - 4).join('\n    '));
  return context.print(`${lines.join('\n')}\n`) || status(findings);
}

/** Findings for the entries with these names; for all entries without names. */
export async function findProblems(
  settings: HookSettings & { readonly statePaths: StatePaths },
  names: readonly string[],
  { env, by }: Pick<Context, 'env' | 'by'>,
): Promise<readonly Finding[]> {
  const { listings, judged } = await loadHooks(settings, by);
  return findFaults(
    listings,
    judged,
    names,
    env,
    clockProblem,
    await libraryProblems(judged, settings.statePaths.stateDirectory),
  );
}
