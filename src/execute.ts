// Plan to results, one as each hook ends. The only file that starts hooks and imports execa. Prints nothing.
import type { Outcome, Plan, Result, Step } from './types.ts';

export type Progress =
  | { readonly kind: 'starts'; readonly step: Step }
  | { readonly kind: 'ended'; readonly result: Result };

export async function* execute(plan: Plan): AsyncGenerator<Progress> {
  for (const step of plan.steps) {
    yield { kind: 'starts', step };
    const result = await run(step);
    yield { kind: 'ended', result };
    if (plan.stopAtFailure && result.outcome.kind !== 'succeeded') return;
  }
}

async function run(step: Step): Promise<Result> {
  // Here, not above: a run without hooks need not load it.
  const { execa } = await import('execa');
  const { exitCode, signal, code, durationMs } = await execa(step.hook.path, step.args, {
    cwd: step.cwd,
    env: step.env,
    extendEnv: false,
    stdio: 'inherit',
    buffer: false,
    reject: false,
    // The hook's end is ours to arrange, not that of an exit handler.
    cleanup: false,
  });
  return { step, outcome: outcome(exitCode, signal, code), durationMs };
}

function outcome(status: number | undefined, signal: string | undefined, code: string | undefined): Outcome {
  if (status === 0) return { kind: 'succeeded' };
  if (status !== undefined) return { kind: 'failed', status };
  if (signal !== undefined) return { kind: 'killed', signal };
  return { kind: 'not-started', defect: { kind: 'system', code: code ?? 'unknown error' } };
}
