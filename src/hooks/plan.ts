// Order, arguments, working directory, environment. Pure: the plan is whole before the first hook starts.

import { suggest } from '../cli/text.ts';
import { DEFAULT_GRACE_MS, gracePeriod } from '../system/duration.ts';

import { absolute, searchPath } from '../system/which.ts';

import type {
  Candidate,
  Environment,
  Failure,
  HookEvent,
  Judged,
  JudgedListing,
  Plan,
  RunRequest,
  Skip,
  Step,
  Unverified,
  Verdict,
  Warning,
} from '../types.ts';

/** What tklbam sets for its own interpreter, and a hook's must not see. */
const WITHHELD = ['PYTHONPATH', 'PYTHONHOME'];

/**
 * Names of passwords and keys, which backup tools have in their environment and hooks would hand on to whatever they start: those of
 * tklbam and duplicity (PASSPHRASE, AWS_SECRET_ACCESS_KEY), restic, borg, kopia, rclone, and those that are like them.
 */
const SECRET =
  /PASSWORD|PASSWD|PASSPHRASE|PASSCOMMAND|SECRET|TOKEN|CREDENTIAL|CONNECTION_STRING|APIKEY|SSHPASS|_(?:PASS|PWD|KEY|KEY_ID|AUTH|SAS)$|^PASS$/i;

/** Whether hooks get it only if they ask for secrets. */
export const isSecret = (name: string): boolean => SECRET.test(name);

/** Lists of directories with colons between them that programs load code from. An empty entry means the current one. */
const CODE_PATHS = ['LD_LIBRARY_PATH', 'PERL5LIB', 'PERLLIB', 'RUBYLIB', 'NODE_PATH', 'CLASSPATH'];

/** A file that bash runs when it starts a script. */
const CODE_FILES = ['BASH_ENV'];

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
  listings: readonly JudgedListing[],
  judged: readonly Judged[],
  env: Environment,
  session: string,
): Plan {
  const { event, only } = request;
  const chosen = judged.filter(({ hook }) => only.length === 0 || only.includes(hook.name));
  const entries = inOrder(event, chosen);
  const failures = [
    ...listings.flatMap(({ source, state, refusal }): Failure[] => {
      if (typeof state === 'object') return [{ kind: 'directory', source, code: state.error }];
      // Where a hook is refused, it says why, for the directory too.
      const isTold = entries.some(({ hook, verdict }) => hook.source === source && verdict.kind === 'refuse');
      return refusal === undefined || isTold ? [] : [{ kind: 'directory-refused', source, refusal }];
    }),
    ...only.flatMap((name): Failure[] => {
      const verdicts = chosen.filter(({ hook }) => hook.name === name).map(({ verdict }) => verdict);
      const skipped = verdicts.find(verdict => verdict.kind === 'skip');
      const key = skipped?.key;
      const enabled = judged.filter(({ verdict }) => verdict.kind === 'run').map(({ hook }) => hook.name);
      const near = skipped === undefined && suggest(name, enabled);
      return verdicts.every(isSkip)
        ? [
            {
              kind: 'not-a-hook',
              name,
              why: skipped?.why,
              ...(key !== undefined && { key }),
              ...(near && { near }),
            },
          ]
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
  const withoutSecrets = Object.fromEntries(Object.entries(base).filter(([name]) => !isSecret(name)));
  const steps = entries
    .filter(({ verdict }) => verdict.kind === 'run')
    .map(
      ({ hook }): Step => ({
        hook,
        args: [event.operation, event.state],
        cwd: request.cwd,
        env: { ...(hook.header.secrets ? base : withoutSecrets), TKLBAM_HOOK_NAME: hook.name },
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

/** The variable by which a caller marks what it starts itself: any value that no other caller has. What hooks start is not that. */
export const CALLER_TAG = 'TKLBAM_HOOK_CALLER';

/** What a session tells hooks in `post` and `error`, and no caller. */
const NEWS = ['TKLBAM_HOOK_ERROR', 'TKLBAM_HOOK_FAILED', 'TKLBAM_HOOK_WARNING'] as const;

/** The entries of its environment by which the processes of a hook are found. */
export const processTag = ({ env }: Step): string[] =>
  ['OPERATION', 'STATE', 'NAME', 'SESSION'].map(each => `TKLBAM_HOOK_${each}=${env[`TKLBAM_HOOK_${each}`]}`);

/** The time limit that the hook asks for, else that of all hooks. Undefined for none. */
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
  for (const name of [...WITHHELD, CALLER_TAG, ...NEWS]) delete base[name];
  // Programs would be taken from wherever the hook is run, which may be in what is being restored.
  for (const name of CODE_PATHS) {
    const list = absolute(base[name]).join(':');
    if (list === '') delete base[name];
    else base[name] = list;
  }
  for (const name of CODE_FILES) if (!base[name]?.startsWith('/')) delete base[name];
  if (state !== 'pre' || !base.TKLBAM_HOOK_VIEW) delete base.TKLBAM_HOOK_VIEW;
  // The status of wrap's COMMAND, which no caller can know before.
  if (state !== 'post' && state !== 'error') delete base.TKLBAM_HOOK_STATUS;
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
