// What must hold of sessions, whatever was killed in them: worked out from what the hooks themselves have written down.

/** A line of a hook: where in its run it is. */
export interface Line {
  /** BEGIN, HALF or END. */
  readonly point: string;
  readonly name: string;
  readonly state: string;
  readonly session: string;
  readonly pid: number;
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
        ...findStrangers(account),
        ...findDisorder(account),
      ]),
      ...findRepeats(accounts, evidence.kills),
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
const hasFailed = ({ lines }: Account): boolean => lines.some(({ state }) => state === 'error');

const lastState = (account: Account): 'error' | 'post' => (hasFailed(account) ? 'error' : 'post');

function findUntold(account: Account): string[] {
  const { evidence, session, started } = account;
  const state = lastState(account);
  return started
    .filter(name => !hasRun(evidence, session, name, state))
    .map(name => `${session}: ${name} was started, and never told ${state}`);
}

/** Told to the end, unless that very process got a signal or exceeded its time limit. */
function findUnended(account: Account): string[] {
  const { evidence, session, lines, started } = account;
  const state = lastState(account);
  const isExcused = (name: string): boolean =>
    lines.some(line => line.name === name && line.state === state && evidence.struck.has(line.pid)) ||
    evidence.logged.some(
      each =>
        each.session === session &&
        each.name === name &&
        each.state === state &&
        ['killed', 'timed-out'].includes(each.outcome),
    );
  const hasEnded = (name: string): boolean =>
    lines.some(line => line.name === name && line.state === state && line.point === 'END');
  return started
    .filter(name => hasRun(evidence, session, name, state) && !hasEnded(name) && !isExcused(name))
    .map(name => `${session}: ${name} was told ${state}, and did not come to its end`);
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

/** The last started is told first. Telling goes on where it was cut off, so that also holds from one telling to the next. */
function findDisorder({ session, lines, evidence }: Account): string[] {
  const told = lines.filter(({ point, state }) => point === 'BEGIN' && state === 'error');
  const places = told.map(({ name }) => evidence.names.indexOf(name));
  const isInOrder = places.every((place, index) => index === 0 || place <= (places[index - 1] ?? 0));
  return isInOrder
    ? []
    : [`${session}: error was told in the order ${told.map(({ name }) => name).join(' ')}`];
}

function findRepeats(accounts: readonly Account[], kills: number): string[] {
  const counts = new Map<string, number>();
  for (const { lines } of accounts) {
    for (const { point, name, state, session } of lines) {
      const key = `${session}: ${name} was told ${state}`;
      if (point === 'BEGIN') counts.set(key, (counts.get(key) ?? 0) + 1);
    }
  }
  const repeated = [...counts].filter(([, count]) => count > 1);
  const isError = ([key]: readonly [string, number]): boolean => key.endsWith(' error');
  const excess = repeated.filter(isError).reduce((sum, [, count]) => sum + count - 1, 0);
  return repeated
    .filter(each => !isError(each) || excess > kills)
    .map(([key, count]) => `${key} ${count} times, with ${kills} kills`);
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
