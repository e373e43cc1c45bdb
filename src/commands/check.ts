// check: what would keep hooks from running, found by day.
import { check as findFaults } from '../hooks/check.ts';
import { loadHooks } from '../hooks/load.ts';
import { clockProblem } from '../library/fixclock/fixclock.ts';
import { libraryProblems } from '../library/library.ts';
import { checkJson, checkText } from '../report/list.ts';
import type { CheckRequest, Finding, HookSettings } from '../types.ts';
import type { Context } from './context.ts';

export async function check(request: CheckRequest, context: Context): Promise<number> {
  const findings = await findProblems(request, request.names, context);
  const text = request.json ? checkJson(findings) : checkText(findings);
  return context.print(text) || (findings.length === 0 ? 0 : 1);
}

/** Findings for the entries with these names; for all entries without names. */
export async function findProblems(
  settings: HookSettings,
  names: readonly string[],
  { env, by }: Pick<Context, 'env' | 'by'>,
): Promise<readonly Finding[]> {
  const { listings, judged } = await loadHooks(settings, by);
  return findFaults(listings, judged, names, env, clockProblem, await libraryProblems(judged));
}
