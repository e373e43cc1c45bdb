// What must hold of sessions, whatever was killed in them: worked out from what the hooks themselves have written down.

/** A line of a hook: where in its run it is. */
export interface Line {
  /** BEGIN, HALF or END. */
  readonly point: string;
  readonly name: string;
  readonly state: string;
  readonly session: string;
  readonly pid: number;
  /** Who started it; undefined if that one was gone at once. */
  readonly teller: number | undefined;
}

/** What the program's own log says of a hook. */
export interface Logged {
  readonly name: string;
  readonly state: string;
  readonly session: string;
  readonly outcome: string;
}

export interface Evidence {
  readonly lines: readonly Line[];
  readonly logged: readonly Logged[];
  /** Of sessions, as the log has them, in its order. */
  readonly outcomes: readonly { readonly session: string; readonly outcome: string }[];
  /** Of all hooks that there are, in their order. */
  readonly names: readonly string[];
  /** How many of those that start hooks were killed: each may have been telling one hook, which is then told once more. */
  readonly kills: number;
  /** Whether anybody was sent a signal. */
  readonly isStruck: boolean;
  /** Of hooks that were sent a signal. */
  readonly struck: ReadonlySet<number>;
}

export interface Finding {
  readonly violations: readonly string[];
  /** Hooks that were told `error`, because they were recorded as started, but whose start was prevented by SIGKILL. */
  readonly unstarted: number;
}

/** What is known of one session. */
interface Account {
  readonly evidence: Evidence;
  readonly session: string;
  readonly lines: readonly Line[];
  /** In the order of their start. */
  readonly started: readonly string[];
}

const STAGES = ['pre', 'inspect', 'post'];

export function examine(evidence: Evidence): Finding {
  const accounts = [...new Set(evidence.lines.map(({ session }) => session))].map(session =>
    account(evidence, session),
  );
  const unstarted = accounts.flatMap(findUnstarted);
  return {
    violations: [
      ...accounts.flatMap(account => [
        ...findUntold(account),
        ...findUnended(account),
        ...findUnpaid(account),
        ...findStrangers(account),
        ...findDisorder(account),
        ...findOldRepeats(account),
      ]),
      ...findExcess(accounts, evidence.kills),
      ...findOverlaps(evidence.lines),
      ...(unstarted.length > evidence.kills
        ? [`told error though never started: ${unstarted.join(', ')}, with ${evidence.kills} kills`]
        : []),
    ],
    unstarted: unstarted.length,
  };
}

function account(evidence: Evidence, session: string): Account {
  const lines = evidence.lines.filter(line => line.session === session);
  const started = evidence.names.filter(name => STAGES.some(state => hasRun(evidence, session, name, state)));
  return { evidence, session, lines, started };
}

/** Whether a hook was started. One that was ended at once has left no line; the log knows of it. Interrupted in `error`, it is told anew. */
function hasRun(evidence: Evidence, session: string, name: string, state: string): boolean {
  const isIt = (each: Line | Logged): boolean =>
    each.session === session && each.name === name && each.state === state;
  const cutShort = state === 'error' ? ['killed'] : ['killed', 'interrupted'];
  return (
    evidence.lines.some(isIt) ||
    (evidence.isStruck && evidence.logged.some(each => isIt(each) && cutShort.includes(each.outcome)))
  );
}

/** A session that has succeeded is one where nobody was told `error`. */
const hasFailed = ({ lines, session, evidence }: Account): boolean =>
  lines.some(({ state }) => state === 'error') ||
  evidence.outcomes.some(each => each.session === session && each.outcome === 'failed');

const lastState = (account: Account): 'error' | 'post' => (hasFailed(account) ? 'error' : 'post');

function findUntold(account: Account): string[] {
  const { evidence, session, started } = account;
  const state = lastState(account);
  return started
    .filter(name => !hasRun(evidence, session, name, state))
    .map(name => `${session}: ${name} was started, and never told ${state}`);
}

/** Told `post` to the end, unless that very process got a signal or exceeded its time limit. */
function findUnended(account: Account): string[] {
  const { evidence, session, lines, started } = account;
  if (hasFailed(account)) return [];
  const isExcused = (name: string): boolean =>
    lines.some(line => line.name === name && line.state === 'post' && evidence.struck.has(line.pid)) ||
    evidence.logged.some(
      each =>
        each.session === session &&
        each.name === name &&
        each.state === 'post' &&
        ['killed', 'timed-out'].includes(each.outcome),
    );
  const hasEnded = (name: string): boolean =>
    lines.some(line => line.name === name && line.state === 'post' && line.point === 'END');
  return started
    .filter(name => hasRun(evidence, session, name, 'post') && !hasEnded(name) && !isExcused(name))
    .map(name => `${session}: ${name} was told post, and did not come to its end`);
}

/** How often a hook is told `error` that fails each time. */
const MOST_ATTEMPTS = 3;

/** What became of each telling of `error` that somebody lived to log. */
const endings = ({ evidence, session }: Account, name: string): string[] =>
  evidence.logged
    .filter(each => each.session === session && each.name === name && each.state === 'error')
    .map(({ outcome }) => outcome);

/** Those that count: an interrupted one was not tried to the end. */
const failures = (account: Account, name: string): number =>
  endings(account, name).filter(outcome => ['failed', 'killed', 'timed-out'].includes(outcome)).length;

/** As the program counts them at least: one that SIGTERM ended is told once more at once, and both are one attempt. */
const attempts = (account: Account, name: string): number => {
  const ends = endings(account, name);
  const retried = ends.filter((outcome, index) => outcome === 'killed' && ends[index - 1] !== 'killed');
  return failures(account, name) - retried.length;
};

const hasHeard = (account: Account, name: string): boolean => endings(account, name).includes('succeeded');

/** A hook that was told `error` has come to a good end, or has failed three times. */
function findUnpaid(account: Account): string[] {
  const { session, lines, started } = account;
  const told = lines.flatMap(({ name, state }) => (state === 'error' ? [name] : []));
  const names = hasFailed(account) ? [...new Set([...started, ...told])] : [];
  return names
    .filter(name => !hasHeard(account, name) && failures(account, name) < MOST_ATTEMPTS)
    .map(name => `${session}: ${name} is owed error, and failed ${failures(account, name)} times`);
}

/** Nobody is told who was not started: but for the next one in order, recorded by a guardian that was killed before it could start it. */
function findStrangers(account: Account): string[] {
  const { session, started, evidence } = account;
  const [next, ...others] = strangers(account);
  const isNext = next === undefined || next === evidence.names[started.length];
  const wrong = isNext ? others : [next, ...others];
  return wrong.map(name => `${session}: ${name} was told error, and never started`);
}

const findUnstarted = (account: Account): string[] => strangers(account).slice(0, 1);

const strangers = ({ lines, started }: Account): string[] => [
  ...new Set(lines.filter(({ name }) => !started.includes(name)).map(({ name }) => name)),
];

/** In `error`, as the log has it. */
const wasKilled = ({ logged }: Evidence, session: string, name: string): boolean =>
  logged.some(
    each =>
      each.session === session && each.name === name && each.state === 'error' && each.outcome === 'killed',
  );

/** Whoever tells begins with the last that was started, and tells each once; one that was killed once more at once. */
function findDisorder({ session, lines, evidence }: Account): string[] {
  const told = lines.filter(
    ({ point, state, teller }) => point === 'BEGIN' && state === 'error' && teller !== undefined,
  );
  return [...new Set(told.map(({ teller }) => teller))].flatMap(teller => {
    const names = told.filter(line => line.teller === teller).map(({ name }) => name);
    const firsts = names.filter((name, index) => {
      const isRepeat = name === names[index - 1] && name !== names[index - 2];
      return !isRepeat || !wasKilled(evidence, session, name);
    });
    const places = firsts.map(name => evidence.names.indexOf(name));
    const isInOrder = places.every((place, index) => index === 0 || place < (places[index - 1] ?? 0));
    return isInOrder ? [] : [`${session}: error was told in the order ${names.join(' ')}`];
  });
}

const begins = ({ lines }: Account, name: string, state: string): number =>
  lines.filter(line => line.point === 'BEGIN' && line.name === name && line.state === state).length;

function findOldRepeats(account: Account): string[] {
  const { evidence, session } = account;
  return evidence.names.flatMap(name =>
    STAGES.filter(state => begins(account, name, state) > 1).map(
      state => `${session}: ${name} was told ${state} more than once`,
    ),
  );
}

/**
 * Nothing is told after success, nobody more than three times, nobody again who has not failed: but for one hook for each who was
 * killed while it told it.
 */
function findExcess(accounts: readonly Account[], kills: number): string[] {
  const excess = accounts.flatMap(account => {
    const { evidence, session, lines } = account;
    const hasSucceeded = evidence.outcomes.some(
      each => each.session === session && each.outcome === 'succeeded',
    );
    const ofHooks = evidence.names.flatMap(name => {
      const ends = endings(account, name);
      const bad = ends.filter(outcome => outcome !== 'succeeded').length;
      const after = ends.includes('succeeded') ? ends.length - 1 - ends.indexOf('succeeded') : 0;
      const again = begins(account, name, 'error') - bad - 1;
      const count = Math.max(after, again, attempts(account, name) - MOST_ATTEMPTS, 0);
      return Array<string>(count).fill(`${session}: ${name}, which ended with ${ends.join(', ')}`);
    });
    const isTold = hasSucceeded && lines.some(({ state }) => state === 'error');
    return isTold ? [...ofHooks, `${session}, which had succeeded`] : ofHooks;
  });
  return excess.length > kills ? [`told error too often, with ${kills} kills: ${excess.join('; ')}`] : [];
}

/** Hooks run one after the other: what one had still to do when the next began could undo that. */
function findOverlaps(lines: readonly Line[]): string[] {
  return lines.flatMap(({ point, name, state, session, pid }, index) => {
    const begun = lines.findIndex(each => each.pid === pid && each.session === session);
    const other = lines.slice(begun, index).find(each => each.pid !== pid);
    return point === 'BEGIN' || other === undefined
      ? []
      : [`${session}: ${name} ${state} was still running when ${other.name} ${other.state} began`];
  });
}
