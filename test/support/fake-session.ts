// Sessions in this process: real locks, records and logs, hooks that are made up, and a runner that does what the test says of each.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { NO_HEADER } from '../../src/hooks/header.ts';
import { processTag } from '../../src/hooks/plan.ts';
import type { Observer } from '../../src/run/execute.ts';
import type { ViewFault } from '../../src/run/view-plan.ts';
import type { SessionDeps } from '../../src/session/deps.ts';
import { openLog } from '../../src/session/log.ts';
import { openSession, type Session } from '../../src/session/session.ts';
import { save } from '../../src/session/session-file.ts';
import { processId } from '../../src/system/proc.ts';
import type {
  Candidate,
  LoadedHooks,
  LogEntry,
  Operation,
  Outcome,
  Plan,
  Report,
  Result,
  SessionRecord,
  SessionSettings,
  StatePaths,
  Trace,
  Verdict,
  ViewEntry,
} from '../../src/types.ts';
import { scratch } from './scratch.ts';
import { sessionsIn } from './session-record.ts';

export interface FakeHook {
  readonly name: string;
  readonly always?: boolean;
  readonly verdict?: Verdict;
}

/** Of a test; what is not readonly it may change as it goes. */
export interface Fake {
  readonly statePaths: StatePaths;
  readonly deps: SessionDeps;
  hooks: readonly FakeHook[];
  /** How a hook ends, by `NAME STATE`; it succeeds if nothing is said of it. A function is called while it runs. */
  readonly ends: Map<string, Outcome | (() => Outcome)>;
  /** Thrown in place of a listing of the hooks. */
  listingError: (() => unknown) | undefined;
  callerEnd: string | undefined;
  interruption: string | undefined;
  isGoingDown: boolean;
  /** What was made and unmade. */
  readonly views: (readonly ViewEntry[] | string)[];
  /** Why none can be made. */
  viewFault: ViewFault | undefined;
  /** Programs that live in one when it is to go. */
  inhabitants: readonly string[];
  /** `NAME STATE` of each hook that was started. */
  readonly told: string[];
  /** The environment of each, in the same order. */
  readonly environments: Readonly<Record<string, string>>[];
  /** What was said on standard error. */
  readonly said: string[];
  /** What was left running and ended. */
  readonly ended: readonly Trace[];
  readonly session: (operation?: Operation, deps?: SessionDeps, more?: Partial<SessionSettings>) => Session;
  /** The sessions of the record that is there; none without one. */
  readonly records: (operation?: Operation) => readonly SessionRecord[];
  /** What is left in the state directory, without the tag that keeps it out of backups. */
  readonly files: () => readonly string[];
  readonly logged: () => readonly LogEntry[];
  /** The outcomes of sessions in the log. */
  readonly outcomes: () => readonly string[];
}

export const DIRECTORY = '/hooks.d';
export const FAILED: Outcome = { kind: 'failed', status: 3 };
export const NOT_STARTED: Outcome = { kind: 'not-started', defect: { kind: 'system', code: 'EAGAIN' } };

export function fake(t: TestContext, ...names: readonly string[]): Fake {
  const directory = scratch(t);
  const statePaths = { stateDirectory: join(directory, 'state'), log: join(directory, 'log') };
  const said: string[] = [];
  const told: string[] = [];
  const environments: Readonly<Record<string, string>>[] = [];
  const ended: Trace[] = [];
  const tell = (line: string): void => {
    said.push(line);
  };
  const settings: SessionSettings = {
    operation: 'backup',
    name: 'restic',
    only: [],
    waitMs: 0,
    statePaths,
    sources: [{ kind: 'local', directory: DIRECTORY }],
    keyrings: ['/keys/a.gpg'],
    timeoutMs: 60_000,
    verbose: false,
  };
  const sessionsDirectory = join(statePaths.stateDirectory, 'sessions');
  const made: Fake = {
    statePaths,
    hooks: names.map(name => ({ name })),
    ends: new Map(),
    listingError: undefined,
    callerEnd: undefined,
    interruption: undefined,
    isGoingDown: false,
    views: [],
    viewFault: undefined,
    inhabitants: [],
    told,
    environments,
    said,
    ended,
    deps: {
      prepare: () => undefined,
      loadHooks: async () => {
        const error = made.listingError?.();
        if (error !== undefined) throw error;
        return listed(made.hooks);
      },
      perform: (plan, observer) =>
        perform(plan, observer, (key, env) => {
          told.push(key);
          environments.push(env);
          const end = made.ends.get(key) ?? { kind: 'succeeded' };
          return typeof end === 'function' ? end() : end;
        }),
      tell,
      tellTurnedAway: error => tell(`HookError: ${error}`),
      log: openLog(statePaths.log, tell),
      self: processId(process.pid),
      caller: { pid: process.ppid, name: 'caller' },
      uid: process.geteuid?.() ?? 0,
      callerEnd: () => made.callerEnd,
      interruption: () => made.interruption,
      waitSeconds: 0.05,
      endCallers: async () => {},
      endTraced: async trace => {
        ended.push(trace);
      },
      isGoingDown: () => made.isGoingDown,
      openView: async entries => {
        made.views.push(entries);
        const mounts = [{ device: '0:1', root: '/', path: entries[0]?.path ?? '' }];
        return made.viewFault ?? { path: '/proc/1/fd/3', mounts, close: () => made.views.push('closed') };
      },
      endInhabitants: async mounts => {
        made.views.push(`ended ${mounts.map(({ path }) => path).join()}`);
        return made.inhabitants;
      },
    },
    session: (operation = 'backup', deps = made.deps, more = {}) =>
      openSession({ ...settings, operation, ...more }, deps),
    records: (operation = 'backup') => {
      const path = join(sessionsDirectory, `${operation}.json`);
      return existsSync(path) ? sessionsIn(readFileSync(path, 'utf8')) : [];
    },
    files: () =>
      existsSync(sessionsDirectory)
        ? readdirSync(sessionsDirectory)
            .filter(name => name !== 'CACHEDIR.TAG')
            .sort()
        : [],
    logged: () =>
      existsSync(statePaths.log)
        ? readFileSync(statePaths.log, 'utf8')
            .split('\n')
            .filter(Boolean)
            .map(line => JSON.parse(line))
        : [],
    outcomes: () => made.logged().flatMap(entry => (entry.type === 'session' ? [entry.outcome] : [])),
  };
  return made;
}

function listed(hooks: readonly FakeHook[]): LoadedHooks {
  const source = { kind: 'local', directory: DIRECTORY } as const;
  const judged = hooks.map(({ name, always = false, verdict = { kind: 'run' } }) => {
    const hook: Candidate = {
      source,
      name,
      bytes: Buffer.from(name),
      path: `${DIRECTORY}/${name}`,
      link: undefined,
      file: { type: 'file', size: 1, uid: 0, gid: 0, mode: 0o755, modifiedMs: 0 },
      program: { kind: 'shell-text' },
      access: 'ok',
      interpreters: [],
      ancestorDirs: [],
      header: { ...NO_HEADER, always },
    };
    return { hook, verdict } as const;
  });
  const candidates = judged.map(({ hook }) => hook);
  return { listings: [{ source, state: 'read', ancestorDirs: [], refusal: undefined, candidates }], judged };
}

/** As execute.ts does it, without processes. A hook that is interrupted ends the run. */
async function perform(
  plan: Plan,
  observer: Observer,
  run: (key: string, env: Readonly<Record<string, string>>) => Outcome,
): Promise<Report> {
  const results: Result[] = [];
  let interruption: NodeJS.Signals | undefined;
  for (const planned of plan.steps) {
    const step = observer.starts(planned);
    if (!('kind' in step)) {
      observer.traced({ cgroup: null, leader: null, hasOwnGroup: true, tag: processTag(step) });
    }
    const outcome: Outcome =
      'kind' in step
        ? { kind: 'not-started', defect: step }
        : run(`${step.hook.name} ${plan.event.state}`, step.env);
    const result = { step: 'kind' in step ? planned : step, outcome, durationMs: 1, output: '' };
    results.push(result);
    observer.ended(result);
    if (outcome.kind === 'interrupted') {
      interruption = outcome.signal as NodeJS.Signals;
      break;
    }
    if (plan.stopAtFailure && outcome.kind !== 'succeeded' && planned.failure === 'stop') break;
  }
  return { plan, results, interruption };
}

/** Leaves a record as one that was killed leaves it: of a session that has come to `pre`, changed as `change` says. */
export async function leaveCutOff(
  made: Fake,
  change: (record: SessionRecord) => SessionRecord = record => record,
  operation: Operation = 'backup',
): Promise<SessionRecord> {
  const session = made.session(operation);
  await session.advance('pre', '/', {});
  const [record] = made.records(operation);
  if (record === undefined) throw new Error('there is no record');
  await session.advance('post', '/', {});
  for (const each of [made.told, made.environments, made.said]) each.length = 0;
  const left = change({ ...record, guardian: { ...record.guardian, start: 1 } });
  save(made.statePaths.stateDirectory, operation, [left]);
  return left;
}
