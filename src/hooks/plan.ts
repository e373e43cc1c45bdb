// Order, arguments, working directory, environment. Pure: the plan is whole before the first hook starts.

import { DEFAULT_GRACE_MS, gracePeriod } from '../system/duration.ts';

import { searchPath } from '../system/which.ts';

import type {
  Candidate,
  Environment,
  Failure,
  HookEvent,
  Judged,
  Listing,
  Plan,
  RunRequest,
  Skip,
  Step,
  Unverified,
  Verdict,
  Warning,
} from '../types.ts';

/** What tklbam leaves in its environment for duplicity, and no hook may see: storage credentials and interpreter paths. */
const WITHHELD = [
  'AWS_ACCESS_KEY_ID',
  'AWS_SECRET_ACCESS_KEY',
  'X_AMZ_SECURITY_TOKEN',
  'PASSPHRASE',
  'PYTHONPATH',
  'PYTHONHOME',
];

/** Every entry in the order of the event: what `pre` stopped last, `post` and `error` start first. */
export function inOrder(event: HookEvent, judged: readonly Judged[]): readonly Judged[] {
  return stopsAtFailure(event) ? judged : judged.toReversed();
}

/**
 * `judged` is in the order of the directories; `env` is the caller's environment over the defaults file;
 * `session` is the id that all states of an operation have in common.
 */
export function plan(
  request: Pick<RunRequest, 'event' | 'only' | 'cwd' | 'timeoutMs'>,
  listings: readonly Listing[],
  judged: readonly Judged[],
  env: Environment,
  session: string,
): Plan {
  const { event, only } = request;
  const chosen = judged.filter(({ hook }) => only.length === 0 || only.includes(hook.name));
  const entries = inOrder(event, chosen);
  const failures = [
    ...listings.flatMap(({ source, state }): Failure[] =>
      typeof state === 'object' ? [{ kind: 'directory', source, code: state.error }] : [],
    ),
    ...only.flatMap((name): Failure[] => {
      const verdicts = chosen.filter(({ hook }) => hook.name === name).map(({ verdict }) => verdict);
      const skipped = verdicts.find(verdict => verdict.kind === 'skip');
      const key = skipped?.key;
      return verdicts.every(isSkip)
        ? [{ kind: 'not-a-hook', name, why: skipped?.why, ...(key !== undefined && { key }) }]
        : [];
    }),
    ...entries.flatMap(({ hook, verdict }): Failure[] => {
      if (verdict.kind === 'broken') return [{ kind: 'broken', hook, defect: verdict.defect }];
      return verdict.kind === 'refuse' ? [{ kind: 'refused', hook, refusal: verdict.refusal }] : [];
    }),
  ];
  const stopAtFailure = stopsAtFailure(event);
  const isBarred = failures.some(({ kind }) => stopAtFailure || kind === 'not-a-hook');
  const base = hookEnvironment(event, env, session);
  const steps = entries
    .filter(({ verdict }) => verdict.kind === 'run')
    .map(
      ({ hook }): Step => ({
        hook,
        args: [event.operation, event.state],
        cwd: request.cwd,
        env: { ...base, TKLBAM_HOOK_NAME: hook.name },
        timeoutMs: timeLimit(hook, request.timeoutMs),
        graceMs: gracePeriod(env) ?? DEFAULT_GRACE_MS,
        failure: hook.header.failure,
      }),
    );
  return {
    event,
    stopAtFailure,
    steps: isBarred ? [] : steps,
    entries,
    failures,
    warnings: entries.flatMap(({ hook, verdict }) => warnings(hook, verdict)),
  };
}

/** The entries of its environment by which the processes of a hook are found. */
export const processTag = ({ env }: Step): string[] =>
  ['OPERATION', 'STATE', 'NAME', 'SESSION'].map(each => `TKLBAM_HOOK_${each}=${env[`TKLBAM_HOOK_${each}`]}`);

/** What the hook asks for, else what all have. Undefined for none. */
export function timeLimit({ header }: Candidate, timeoutMs: number | undefined): number | undefined {
  return (header.timeoutMs ?? timeoutMs) || undefined;
}

function warnings(hook: Candidate, verdict: Verdict): Warning[] {
  switch (verdict.kind) {
    case 'run': {
      const key = verdict.expiredKey;
      const faults = hook.header.faults.map((fault): Warning => ({ kind: 'header', hook, ...fault }));
      return key === undefined ? faults : [...faults, { kind: 'expired-key', hook, key }];
    }
    case 'skip': {
      const { why, key } = verdict;
      return isUnverified(why) ? [{ kind: 'unverified', hook, why, key }] : [];
    }
    case 'broken':
    case 'refuse':
      return [];
  }
}

const isUnverified = (why: Skip): why is Unverified =>
  why === 'no-signature' || why === 'no-keyring' || why === 'no-gpgv' || why === 'unknown-key';

const stopsAtFailure = ({ state }: HookEvent): boolean => state === 'pre' || state === 'inspect';

const isSkip = (verdict: Verdict): boolean => verdict.kind === 'skip';

function hookEnvironment({ operation, state }: HookEvent, env: Environment, session: string): Environment {
  const base: Record<string, string> = { ...env };
  for (const name of [...WITHHELD, 'TKLBAM_HOOK_ERROR', 'TKLBAM_HOOK_FAILED']) delete base[name];
  return {
    ...base,
    ...(state === 'error' && {
      TKLBAM_HOOK_ERROR: env.TKLBAM_HOOK_ERROR ?? '',
      TKLBAM_HOOK_FAILED: env.TKLBAM_HOOK_FAILED ?? '',
    }),
    PATH: searchPath(env.PATH),
    TKLBAM_HOOK_OPERATION: operation,
    TKLBAM_HOOK_STATE: state,
    TKLBAM_HOOK_SESSION: session,
  };
}
