// Faults: sessions of hooks that write down what they are told, in which somebody is killed, or something fails.
import { type ChildProcess, spawn } from 'node:child_process';
import {
  closeSync,
  existsSync,
  type FSWatcher,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  watch,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { executable } from './built.ts';
import { Dice } from './dice.ts';
import { place, plainEnvironment, startOf } from './harness.ts';
import { type Evidence, examine, type Line, type Logged } from './invariant.ts';
import { repository } from './repository.ts';
import { sessionsIn } from './session-record.ts';

const PROGRAM = executable();

type Target = 'caller' | 'guardian' | 'hook' | 'everything';
type Signal = 'SIGTERM' | 'SIGKILL';

/** When a blow falls. */
type Moment =
  /** When a hook, or the operation, has come to a point; which waits for the blow, unless there is a delay. */
  | {
      readonly kind: 'line';
      readonly point: string;
      readonly name: string;
      readonly state: string;
      readonly delayMs: number | undefined;
    }
  /** At a share of the length that it has undisturbed. */
  | { readonly kind: 'time'; readonly share: number }
  /** After so many changes to the state directory: records are written, replaced and removed there. */
  | { readonly kind: 'change'; readonly count: number; readonly delayMs: number };

interface Blow {
  readonly target: Target;
  readonly signal: Signal;
  readonly during: 'session' | 'recover';
  readonly when: Moment;
}

interface Hook {
  readonly name: string;
  /** How long it sleeps, before and after the middle. */
  readonly napsMs: readonly [number, number];
  readonly isLimited: boolean;
  readonly fails: { readonly state: string; readonly how: 'exit' | 'hang' } | undefined;
  /** How many times it fails when it is told `error`, in each session. */
  readonly debts: number;
}

/** One session, and what is done to it. All of it follows from the seed. */
export interface Fault {
  readonly seed: number;
  readonly kind: string;
  /** As tklbam does it, with the hooks.py of the package; or with `wrap`. */
  readonly way: 'session' | 'wrap';
  readonly operation: 'backup' | 'restore';
  readonly hooks: readonly Hook[];
  readonly inspects: boolean;
  readonly workMs: number;
  readonly workStatus: number;
  /** Where the caller ends without `post`, and how: test/caller.py. */
  readonly leaves: string;
  readonly blows: readonly Blow[];
  /** When another session of the operation is begun, as a share of the length of this one. */
  readonly rival: number | undefined;
  /** Recovery begins when all processes have ended; or at once, when some may still run. */
  readonly isPatient: boolean;
  /** `recover`, as at boot, or the next session, which does it first; then `recover` until nothing is owed or told any more. */
  readonly recovery: 'recover' | 'next';
  /** What is not there at the first recovery, as if it were not mounted. */
  readonly away: 'directory' | 'hook' | undefined;
}

/** How long an undisturbed session of three hooks takes, and the recovery of one. */
export interface Lengths {
  readonly session: number;
  readonly wrap: number;
  readonly recover: number;
}

export interface Outcome {
  readonly fault: Fault;
  readonly violations: readonly string[];
  /** Hooks that were recorded as started, and whose start was prevented. */
  readonly unstarted: number;
  /** For each blow, what was going on when it fell; or that it hit nobody. */
  readonly struck: readonly string[];
  readonly sessionMs: number;
  readonly recoverMs: number;
  /** All that was written meanwhile, for who looks into a violation. */
  readonly transcript: string;
}

/** Where the records are. */
const SESSIONS = 'state/sessions';
/** Time limit of hooks that have one. */
const LIMIT = '1s';
/** How long anything may go on by itself, on the busiest machine. */
const PATIENCE_MS = 180_000;

export function makeFault(seed: number): Fault {
  const dice = new Dice(seed);
  const names = ['a', 'b', 'c', 'd'].slice(0, 2 + dice.below(3));
  const hasInspect = dice.chance(0.6);
  const states = hasInspect ? ['pre', 'inspect', 'post'] : ['pre', 'post'];
  const way = dice.pick(['session', 'wrap'] as const);
  const plain: Plain = { dice, way, names, states };
  const cause = dice.chance(0.2) ? makeFailure(plain) : dice.chance(0.06) ? { kind: 'rival' } : undefined;
  const blows = cause === undefined ? [makeBlow(plain)] : [];
  const kind = cause?.kind ?? `${blows[0]?.signal} ${blows[0]?.target}`;
  const isFailing = cause === undefined ? dice.chance(0.1) : false;
  const fails = cause?.fails ?? (isFailing ? makeFailingHook(plain) : undefined);
  const again = cause?.kind === 'rival' ? undefined : addBlows(plain, blows, names, cause !== undefined);
  const owes = dice.chance(0.4);
  const hooks = names.map((name): Hook => {
    const failure = fails?.name === name ? fails : undefined;
    const isLimited = failure?.how === 'hang' || dice.chance(0.12);
    const debts = owes && dice.chance(0.6) ? dice.pick([1, 1, 2, 3, 5]) : 0;
    return { name, napsMs: [5 + dice.below(16), 5 + dice.below(16)], isLimited, fails: failure, debts };
  });
  const rival = cause?.kind === 'rival' || dice.chance(0.03) ? dice.next() : undefined;
  const isLong = rival !== undefined && dice.chance(0.4);
  const isHit = blows.some(({ during }) => during === 'recover');
  const away = !isHit && dice.chance(0.15) ? dice.pick(['directory', 'hook'] as const) : undefined;
  return {
    seed,
    kind: again === undefined ? kind : `${kind}, again in ${again}`,
    way,
    operation: dice.pick(['backup', 'restore']),
    hooks,
    inspects: hasInspect,
    // Longer than a second session waits for the first to end.
    workMs: isLong ? 2800 : 10 + dice.below(30),
    workStatus: cause?.kind === 'operation fails' && way === 'wrap' ? 7 : 0,
    leaves: cause?.leaves ?? 'never',
    blows,
    rival,
    isPatient: dice.chance(0.8),
    recovery: isHit || away !== undefined || dice.chance(0.8) ? 'recover' : 'next',
    away,
  };
}

/** What a fault is made from. */
interface Plain {
  readonly dice: Dice;
  readonly way: 'session' | 'wrap';
  readonly names: readonly string[];
  readonly states: readonly string[];
}

interface Failing {
  readonly name: string;
  readonly state: string;
  readonly how: 'exit' | 'hang';
}

function makeFailure(plain: Plain): { kind: string; fails?: Failing; leaves?: string } {
  const { dice, way, states } = plain;
  if (dice.chance(0.55)) {
    const fails = makeFailingHook(plain);
    return { kind: fails.how === 'hang' ? 'hook exceeds its time' : 'hook fails', fails };
  }
  if (way === 'wrap') return { kind: 'operation fails' };
  const after = dice.pick([...states.filter(state => state !== 'post'), 'operation']);
  return { kind: 'operation fails', leaves: `${after} ${dice.pick(['raise', 'exit', 'close'])}` };
}

const makeFailingHook = ({ dice, names, states }: Plain): Failing => ({
  name: dice.pick(names),
  state: dice.pick([...states, ...states, 'error']),
  how: dice.chance(0.25) ? 'hang' : 'exit',
});

function makeBlow({ dice, way, names, states }: Plain): Blow {
  const signal = dice.chance(0.65) ? 'SIGKILL' : 'SIGTERM';
  const target = dice.pick<Target>(['caller', 'guardian', 'guardian', 'hook', 'everything']);
  const during = 'session';
  // There is no command of `wrap` but in the operation.
  const isOfWrap = target === 'caller' && way === 'wrap';
  if (isOfWrap || (target !== 'hook' && dice.chance(0.1)))
    return { target, signal, during, when: moment(dice, 'WORK', '-', 'operation') };
  if (target === 'hook' || dice.chance(0.45))
    return { target, signal, during, when: atHook(dice, names, states) };
  if (dice.chance(0.6)) return { target, signal, during, when: { kind: 'time', share: dice.next() } };
  const count = 1 + dice.below(3 * names.length * states.length);
  return { target, signal, during, when: { kind: 'change', count, delayMs: dice.below(4) } };
}

const atHook = (dice: Dice, names: readonly string[], states: readonly string[]): Moment =>
  moment(dice, dice.pick(['BEGIN', 'HALF', 'END']), dice.pick(names), dice.pick(states));

const moment = (dice: Dice, point: string, name: string, state: string): Moment => {
  const delayMs = dice.chance(0.35) ? dice.below(12) : undefined;
  return { kind: 'line', point, name, state, delayMs };
};

/** A further blow in `error` or, where the guardian is dead by then, in `recover`. Says where. */
function addBlows(
  { dice, names }: Plain,
  blows: Blow[],
  told: readonly string[],
  isFailure: boolean,
): 'error' | 'recover' | undefined {
  if (!dice.chance(isFailure ? 0.4 : 0.35)) return undefined;
  const isOrphaned = blows.some(isDeadly);
  const signal = dice.chance(0.7) ? 'SIGKILL' : 'SIGTERM';
  const target = dice.pick<Target>(['guardian', 'guardian', 'hook', 'everything']);
  const during = isOrphaned ? 'recover' : 'session';
  // Only those who were started will be told.
  const [first] = blows;
  const last =
    first?.when.kind === 'line' && first.when.state === 'pre' ? names.indexOf(first.when.name) : -1;
  const among = last < 0 ? told : names.slice(0, last + 1);
  const isByTime = isOrphaned && target !== 'hook' && dice.chance(0.6);
  const change: Moment = { kind: 'change', count: 1 + dice.below(12), delayMs: dice.below(3) };
  const when = !isByTime
    ? atHook(dice, among, ['error'])
    : dice.chance(0.6)
      ? ({ kind: 'time', share: dice.next() } as const)
      : change;
  blows.push({ target, signal, during, when });
  if (dice.chance(0.3) && blows.some(isDeadly))
    blows.push({
      target: 'guardian',
      signal: 'SIGKILL',
      during: 'recover',
      when: atHook(dice, among, ['error']),
    });
  return isOrphaned ? 'recover' : 'error';
}

const isDeadly = ({ target, signal }: Blow): boolean =>
  signal === 'SIGKILL' && (target === 'guardian' || target === 'everything');

/** Where a fault takes place. */
interface Scene {
  readonly fault: Fault;
  readonly directory: string;
  readonly env: Readonly<Record<string, string>>;
  readonly mark: string;
  /** Those who were there before. */
  readonly strangers: ReadonlySet<number>;
  /** Processes that start hooks: the session's, and who recovers. */
  readonly guardians: Set<number>;
  /** Hooks that were sent a signal. */
  readonly struckHooks: Set<number>;
  readonly struck: (string | undefined)[];
  readonly violations: string[];
  readonly lineWatchers: Set<(line: Line) => void>;
  readonly changeWatchers: Set<() => void>;
  /** Who has begun a session of its own, beside it or after it. */
  readonly others: number[];
  kills: number;
  /** The caller or `wrap`; then who recovers. */
  main: number;
  phase: 'session' | 'recover';
}

export async function inject(
  fault: Fault,
  base: string,
  lengths: Lengths,
  recovers: boolean,
): Promise<Outcome> {
  const scene = prepare(fault, join(base, String(fault.seed)));
  const watchers = observe(scene);
  try {
    const [sessionMs, recoverMs] = await play(scene, lengths, recovers);
    await expectNobody(scene);
    const left = files(scene);
    if (left.length > 0) scene.violations.push(`files are left: ${left.join(' ')}`);
    const finding = examine({
      lines: lines(scene).filter(({ name }) => name !== '-'),
      ...logged(scene),
      names: fault.hooks.map(({ name }) => name),
      kills: scene.kills,
      isStruck: scene.struck.some(each => each !== undefined),
      struck: scene.struckHooks,
    });
    const violations = [...scene.violations, ...finding.violations];
    const bug = /.*this is a bug.*/.exec(read(scene, 'output'))?.[0];
    if (bug !== undefined) violations.push(bug);
    const struck = fault.blows.map((_, index) => scene.struck[index] ?? 'nobody');
    const { unstarted } = finding;
    return { fault, violations, unstarted, struck, sessionMs, recoverMs, transcript: transcript(scene) };
  } finally {
    for (const watcher of watchers) watcher.close();
    for (const { pid } of ours(scene)) send(pid, 'SIGKILL');
    rmSync(scene.directory, { recursive: true, force: true });
  }
}

function prepare(fault: Fault, directory: string): Scene {
  const at = (name: string): string => join(directory, name);
  for (const each of [directory, at('hooks.d')]) mkdirSync(each, { mode: 0o755 });
  for (const each of [at('state'), at(SESSIONS)]) mkdirSync(each, { mode: 0o700 });
  for (const name of ['events', 'output', 'rival']) writeFileSync(at(name), '');
  for (const hook of fault.hooks) place(at('hooks.d'), hook.name, hookScript(hook, directory));
  place(directory, 'command', commandScript(fault, directory));
  for (const { when } of fault.blows) {
    if (when.kind === 'line' && when.delayMs === undefined) writeFileSync(holdOf(directory, when), '');
  }
  const mark = `${fault.seed}.${process.pid}.${Date.now()}`;
  return {
    fault,
    directory,
    env: {
      ...plainEnvironment,
      FAULT: mark,
      TKLBAM_HOOKS: at('hooks.d'),
      TKLBAM_HOOKS_STATE: at('state'),
      TKLBAM_HOOKS_LOG: at('log'),
    },
    mark: `FAULT=${mark}`,
    strangers: new Set(pids()),
    guardians: new Set(),
    struckHooks: new Set(),
    struck: [],
    violations: [],
    lineWatchers: new Set(),
    changeWatchers: new Set(),
    others: [],
    kills: 0,
    main: 0,
    phase: 'session',
  };
}

interface Spot {
  readonly point: string;
  readonly name: string;
  readonly state: string;
}

const holdOf = (directory: string, { point, name, state }: Spot): string =>
  join(directory, `hold.${point}.${name}.${state}`);

/** Writes a line, and waits as long as there is a file that wants it to. */
const say = (directory: string): string => `
say() {
    echo "$1 $2 $3 \${TKLBAM_HOOK_SESSION:--} $$ $PPID" >>'${directory}/events'
    for round in 0 1 2 3 4 5 6 7 8 9; do
        for again in 0 1 2 3 4 5 6 7 8 9; do
            [ -e "${directory}/hold.$1.$2.$3" ] || return 0
            sleep 0.03
        done
    done
}
`;

function hookScript(
  { name, napsMs: [first, second], isLimited, fails, debts }: Hook,
  directory: string,
): string {
  const failing = `[ "$2" = ${fails?.state ?? 'never'} ]`;
  const ends = `"^END ${name} error $TKLBAM_HOOK_SESSION "`;
  return `#!/bin/sh
${isLimited ? `# tklbam-hooks: timeout=${LIMIT}` : ''}
${say(directory)}
say BEGIN ${name} "$2"
sleep ${first / 1000}
say HALF ${name} "$2"
if ${failing} && [ ${fails?.how} = hang ]; then sleep 600; fi
sleep ${second / 1000}
say END ${name} "$2"
if ${failing}; then exit 3; fi
if [ "$2" = error ] && [ "$(grep -c ${ends} '${directory}/events')" -le ${debts} ]; then exit 4; fi
`;
}

const commandScript = ({ workMs, workStatus }: Fault, directory: string): string => `#!/bin/sh
${say(directory)}
say WORK - operation
sleep ${workMs / 1000}
exit ${workStatus}
`;

/** Calls who waits for a line of a hook, or for a change in the state directory. */
function observe(scene: Scene): FSWatcher[] {
  let seen = 0;
  const news = (): void => {
    const all = lines(scene);
    for (const line of all.slice(seen)) for (const each of scene.lineWatchers) each(line);
    seen = all.length;
  };
  const change = (): void => {
    for (const each of scene.changeWatchers) each();
  };
  return [watch(join(scene.directory, 'events'), news), watch(join(scene.directory, SESSIONS), change)];
}

/** The session with its blows, and what recovers it. Resolves to how long each has taken. */
async function play(scene: Scene, lengths: Lengths, recovers: boolean): Promise<[number, number]> {
  const { fault } = scene;
  const count = (fault.hooks.length * (fault.inspects ? 3 : 2)) / 9;
  const began = performance.now();
  const main = launch(scene, mainCommand(scene));
  scene.main = main.child.pid ?? 0;
  const disarm = fault.blows.map((blow, index) =>
    blow.during === 'session' ? arm(scene, blow, index, lengths[fault.way] * count) : () => {},
  );
  const rival = fault.rival === undefined ? undefined : playRival(scene, lengths[fault.way] * fault.rival);
  const status = await main.ended;
  const sessionMs = performance.now() - began;
  if (fault.isPatient || !recovers) {
    await rival;
    await expectQuiet(scene);
    expectEnded(scene);
  }
  for (const each of disarm) each();
  const recoverMs = recovers ? await recover(scene, lengths) : 0;
  await rival;
  const isItsOwn = ({ session }: Line): boolean => !scene.others.some(pid => isOf(session, pid));
  if (status === 0 && lines(scene).some(line => line.state === 'error' && isItsOwn(line)))
    scene.violations.push('its caller was told that all is well, and hooks were told error');
  return [sessionMs, recoverMs];
}

const isOf = (session: string, guardian: number): boolean => session.endsWith(`-${guardian}`);

function mainCommand({ fault, directory }: Scene): readonly string[] {
  const { way, operation, inspects, workMs, leaves } = fault;
  if (way === 'wrap') {
    const inspect = inspects ? ['--inspect', directory] : [];
    return [PROGRAM, 'wrap', operation, ...inspect, '--', join(directory, 'command')];
  }
  const caller = ['python3', '-S', '-E', join(repository, 'test/support/caller.py'), PROGRAM];
  const shim = join(repository, 'packaging/hooks.py');
  return [...caller, shim, operation, directory, String(workMs), inspects ? 'yes' : 'no', leaves];
}

interface Launched {
  readonly child: ChildProcess;
  /** Exit status, or the signal that ended it. */
  readonly ended: Promise<number | string | null>;
}

function launch(scene: Scene, [file = '', ...args]: readonly string[], outputName = 'output'): Launched {
  const output = openSync(join(scene.directory, outputName), 'a');
  const child = spawn(file, args, { cwd: '/', env: scene.env, stdio: ['ignore', output, output] });
  closeSync(output);
  const ended = new Promise<number | string | null>(resolve => {
    child.on('exit', (status, signal) => resolve(status ?? signal));
  });
  return { child, ended };
}

/** It is turned away, and runs no hook; or it has waited for the first to end, and is a session like any other. */
async function playRival(scene: Scene, afterMs: number): Promise<void> {
  await sleep(afterMs);
  const { child, ended } = launch(scene, [PROGRAM, 'wrap', scene.fault.operation, '--', 'true'], 'rival');
  const pid = child.pid ?? 0;
  scene.others.push(pid);
  await ended;
  const isTurnedAway = / session is running: .*no hook was run$/m.test(read(scene, 'rival'));
  if (isTurnedAway && lines(scene).some(({ session }) => isOf(session, pid)))
    scene.violations.push(`a second session (pid ${pid}) was turned away, and ran hooks`);
}

/** As boots would, until nothing is owed any more, or those who are owed it have failed too often. Resolves to how long the first took. */
async function recover(scene: Scene, lengths: Lengths): Promise<number> {
  const { fault } = scene;
  scene.phase = 'recover';
  const blows = fault.blows.flatMap((blow, index) => (blow.during === 'recover' ? [{ blow, index }] : []));
  let recoverMs = 0;
  for (let round = 0; round < MOST_ROUNDS; round++) {
    const began = performance.now();
    const isNext = round === 0 && fault.recovery === 'next';
    const isAlone = round > 0 || fault.isPatient;
    const before = told(scene);
    const comeBack = round === 0 ? takeAway(scene) : () => {};
    const { child, ended } = launch(
      scene,
      isNext ? [PROGRAM, 'wrap', fault.operation, '--', 'true'] : [PROGRAM, 'recover'],
    );
    scene.main = child.pid ?? 0;
    if (isNext) scene.others.push(scene.main);
    const next = blows[round];
    const disarm = next === undefined ? () => {} : arm(scene, next.blow, next.index, lengths.recover);
    const status = await ended;
    if (round === 0) recoverMs = performance.now() - began;
    disarm();
    comeBack();
    await expectQuiet(scene);
    const isStruck = next !== undefined && scene.struck[next.index] !== undefined;
    if (isNext || isStruck || !isAlone) continue;
    expectEnded(scene);
    const owes = files(scene).length > 0;
    if (status !== (owes ? 1 : 0))
      scene.violations.push(`recover ended with ${status}, and ${owes ? 'a record' : 'nothing'} is left`);
    // Nobody was there to be told, or all have failed too often.
    const isOver = !owes || (told(scene) === before && !(round === 0 && fault.away !== undefined));
    if (isOver && round >= blows.length) return forget(scene, recoverMs);
  }
  scene.violations.push(`hooks are told error again and again: recover has run ${MOST_ROUNDS} times`);
  return recoverMs;
}

/** Three tellings of the session and of those beside it, the cut off ones, and those that find nothing to do. */
const MOST_ROUNDS = 12;

/** What is left is owed, and given up. */
async function forget(scene: Scene, recoverMs: number): Promise<number> {
  if (files(scene).length === 0) return recoverMs;
  const before = told(scene);
  const status = await launch(scene, [PROGRAM, 'recover', '--forget']).ended;
  if (status !== 0) scene.violations.push(`recover --forget ended with ${status}`);
  if (told(scene) !== before) scene.violations.push('recover --forget has told a hook error');
  return recoverMs;
}

const told = (scene: Scene): number => lines(scene).filter(({ state }) => state === 'error').length;

/** Hides hooks from a recovery. What it returns brings them back. */
function takeAway({ fault, directory }: Scene): () => void {
  if (fault.away === undefined) return () => {};
  const path = join(directory, fault.away === 'directory' ? 'hooks.d' : `hooks.d/${fault.hooks[0]?.name}`);
  const away = join(directory, 'away');
  renameSync(path, away);
  return () => renameSync(away, path);
}

/** Lets the blow fall at its moment. What it returns calls it off. */
function arm(scene: Scene, blow: Blow, index: number, lengthMs: number): () => void {
  const { when } = blow;
  const timers: NodeJS.Timeout[] = [];
  const fall = (delayMs: number | undefined): void => {
    const now = (): void => {
      scene.struck[index] = strike(scene, blow);
      if (when.kind === 'line') rmSync(holdOf(scene.directory, when), { force: true });
    };
    scene.lineWatchers.delete(onLine);
    scene.changeWatchers.delete(onChange);
    if (delayMs === undefined) now();
    else timers.push(setTimeout(now, delayMs));
  };
  const onLine = ({ point, name, state }: Line): void => {
    if (when.kind !== 'line' || point !== when.point || name !== when.name || state !== when.state) return;
    fall(when.delayMs);
  };
  let changes = 0;
  const onChange = (): void => {
    changes++;
    if (when.kind === 'change' && changes === when.count) fall(when.delayMs);
  };
  if (when.kind === 'line') scene.lineWatchers.add(onLine);
  if (when.kind === 'change') scene.changeWatchers.add(onChange);
  if (when.kind === 'time') fall(when.share * lengthMs);
  return () => {
    for (const each of timers) clearTimeout(each);
    scene.lineWatchers.delete(onLine);
    scene.changeWatchers.delete(onChange);
    if (when.kind === 'line') rmSync(holdOf(scene.directory, when), { force: true });
  };
}

/** Says what was going on; undefined if there is nobody to hit. */
function strike(scene: Scene, { target, signal }: Blow): string | undefined {
  const all = ours(scene);
  const victims = target === 'everything' ? all : all.filter(isTarget(scene, target, all));
  if (victims.length === 0) return undefined;
  const where = describeMoment(scene);
  if (target === 'everything' && signal === 'SIGKILL') freeze(scene, victims);
  for (const { pid, words } of victims) {
    const isSent = send(pid, signal);
    // TERM ends `recover` and leaves the rest to the next one; but no other that tells `error`.
    const isCutOff = signal === 'SIGKILL' ? isGuardian(words) : words[1] === 'recover';
    if (isSent && isCutOff) scene.kills++;
    scene.struckHooks.add(pid);
  }
  return where;
}

/** Nobody goes on while the others are killed. Adds those who came meanwhile. */
function freeze(scene: Scene, victims: Process[]): void {
  for (let fresh = [...victims]; fresh.length > 0; ) {
    for (const { pid } of fresh) send(pid, 'SIGSTOP');
    fresh = ours(scene).filter(({ pid }) => !victims.some(each => each.pid === pid));
    victims.push(...fresh);
  }
}

function isTarget(
  scene: Scene,
  target: Exclude<Target, 'everything'>,
  all: readonly Process[],
): (process: Process) => boolean {
  const { way } = scene.fault;
  switch (target) {
    case 'caller':
      if (way === 'session') return ({ pid }) => pid === scene.main;
      return ({ words }) =>
        words.some(word => word === join(scene.directory, 'command')) && !isGuardian(words);
    case 'guardian': {
      if (scene.phase === 'recover' || way === 'wrap') return ({ pid }) => pid === scene.main;
      const guardians = all.filter(({ words }) => isGuardian(words) && words[1] === 'session');
      // A process that is just being started looks like who starts it.
      return each => guardians.includes(each) && !guardians.some(({ pid }) => pid === each.parent);
    }
    case 'hook': {
      const last = lines(scene).findLast(({ name }) => name !== '-');
      return ({ pid }) => pid === last?.pid;
    }
  }
}

const isGuardian = ([file, command = '']: readonly string[]): boolean =>
  file === PROGRAM && ['session', 'wrap', 'recover'].includes(command);

function describeMoment(scene: Scene): string {
  const last = lines(scene).at(-1);
  if (last === undefined || last.point === 'ASK' || last.point === 'LEAVES') {
    if (scene.phase === 'recover') return 'before the first of recover';
    return last === undefined ? 'start' : `before the first of ${last.state}`;
  }
  const state = scene.phase === 'recover' ? 'recover' : last.state;
  return last.point === 'END' ? `after one of ${state}` : state;
}

interface Process {
  readonly pid: number;
  readonly parent: number;
  readonly words: readonly string[];
}

/** All that came of the fault, watchdogs too, which do not bear the mark. */
function ours(scene: Scene): Process[] {
  const sessions = new Set(lines(scene).map(({ session }) => session));
  const found: Process[] = [];
  for (const pid of pids()) {
    if (scene.strangers.has(pid)) continue;
    const words = readOrEmpty(`/proc/${pid}/cmdline`).split('\0').slice(0, -1);
    const isMarked = readOrEmpty(`/proc/${pid}/environ`).split('\0').includes(scene.mark);
    const session = isWatchdog(words) ? (words.at(-1) ?? '') : undefined;
    if (isMarked && isGuardian(words)) scene.guardians.add(pid);
    const isOurs =
      isMarked ||
      (session !== undefined &&
        (sessions.has(session) || [...scene.guardians].some(guardian => isOf(session, guardian))));
    if (isOurs) found.push({ pid, parent: parentOf(pid), words });
  }
  return found;
}

const isWatchdog = (words: readonly string[]): boolean => words.at(-2) === 'tklbam-hooks-watchdog';

const pids = (): number[] =>
  readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .map(Number);

function parentOf(pid: number): number {
  const stat = readOrEmpty(`/proc/${pid}/stat`);
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
}

/** Of a process that may have ended. */
function readOrEmpty(path: string): string {
  try {
    return startOf(path);
  } catch {
    return '';
  }
}

function send(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal);
  } catch {
    return false;
  }
}

/** All but watchdogs, which look round once a second. */
const expectQuiet = (scene: Scene): Promise<void> =>
  expectGone(scene, () => ours(scene).filter(({ words }) => !isWatchdog(words)));

const expectNobody = (scene: Scene): Promise<void> => expectGone(scene, () => ours(scene));

async function expectGone(scene: Scene, look: () => readonly Process[]): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (look().length > 0 && performance.now() < deadline) await sleep(20);
  const left = look();
  for (const { pid } of left) send(pid, 'SIGKILL');
  if (left.length === 0) return;
  const names = left.map(({ pid, words }) => `${pid} (${words.slice(0, 2).join(' ')} … ${words.at(-1)})`);
  scene.violations.push(`still there after ${PATIENCE_MS / 1000} s: ${names.join(', ')}`);
}

/** A guardian that was not killed leaves no session that is not over, and nothing but a record of what is owed, and its scratch directory. */
function expectEnded(scene: Scene): void {
  if (scene.kills > 0) return;
  const left = files(scene).filter(name => !isRecordOfDebts(scene, name));
  if (left.length > 0) scene.violations.push(`nobody was killed, and files are left: ${left.join(' ')}`);
}

function isRecordOfDebts(scene: Scene, name: string): boolean {
  const [, session] = /^scratch-(.*)/.exec(name) ?? [];
  if (session !== undefined) {
    return ['backup', 'restore'].some(each =>
      read(scene, `${SESSIONS}/${each}.json`).includes(`"${session}"`),
    );
  }
  if (!name.endsWith('.json')) return false;
  const sessions = sessionsIn(read(scene, `${SESSIONS}/${name}`));
  return sessions.length > 0 && sessions.every(({ isOver }) => isOver);
}

const files = (scene: Scene): string[] => readdirSync(join(scene.directory, SESSIONS));

const read = (scene: Scene, name: string): string => {
  const path = join(scene.directory, name);
  return existsSync(path) ? readFileSync(path, 'utf8') : '';
};

/** Those of the caller have the name `-`. */
const lines = (scene: Scene): Line[] =>
  read(scene, 'events')
    .split('\n')
    .slice(0, -1)
    .map((text): Line => {
      const [point = '', name = '', state = '', session = '', pid, parent] = text.split(' ');
      // One whose guardian was gone at once has a parent that was there before.
      const teller = scene.strangers.has(Number(parent)) ? undefined : Number(parent);
      return { point, name, state, session, pid: Number(pid), teller };
    });

function logged(scene: Scene): Pick<Evidence, 'logged' | 'outcomes'> {
  const entries = read(scene, 'log')
    .split('\n')
    .slice(0, -1)
    .map(text => JSON.parse(text));
  return {
    logged: entries.flatMap(({ type, hook, state, session, outcome }): Logged[] =>
      type === 'hook' ? [{ name: basename(hook), state, session, outcome }] : [],
    ),
    outcomes: entries.flatMap(({ type, session, outcome }): { session: string; outcome: string }[] =>
      type === 'session' ? [{ session, outcome }] : [],
    ),
  };
}

const transcript = (scene: Scene): string =>
  ['events', 'output', 'rival', 'log'].map(name => `--- ${name}\n${read(scene, name)}`).join('');

export interface Soak {
  readonly count: number;
  readonly seed: number;
  /** A directory whose hooks can be trusted. */
  readonly base: string;
  /** How many at a time. */
  readonly parallel: number;
  readonly recovers: boolean;
  /** Which of the seeds to take. */
  readonly isWanted?: (fault: Fault) => boolean;
  readonly report: (outcome: Outcome) => void;
}

/** Faults of consecutive seeds. */
export async function soak({
  count,
  seed,
  base,
  parallel,
  recovers,
  isWanted,
  report,
}: Soak): Promise<Outcome[]> {
  const lengths = await measure(base, parallel);
  const outcomes: Outcome[] = [];
  let next = seed;
  let begun = 0;
  const work = async (): Promise<void> => {
    while (begun < count) {
      const fault = makeFault(next++ >>> 0);
      if (isWanted?.(fault) === false) continue;
      begun++;
      const outcome = await inject(fault, base, lengths, recovers);
      outcomes.push(outcome);
      report(outcome);
    }
  };
  await Promise.all(Array.from({ length: parallel }, work));
  return outcomes;
}

/** Undisturbed sessions, and one that is killed, as many at a time as later on. */
async function measure(base: string, parallel: number): Promise<Lengths> {
  const hooks = ['a', 'b', 'c'].map(
    (name): Hook => ({ name, napsMs: [12, 12], isLimited: false, fails: undefined, debts: 0 }),
  );
  const plain: Fault = {
    ...makeFault(0),
    hooks,
    inspects: true,
    workMs: 20,
    workStatus: 0,
    leaves: 'never',
    blows: [],
    rival: undefined,
    isPatient: true,
    recovery: 'recover',
    away: undefined,
  };
  const when: Moment = { kind: 'line', point: 'WORK', name: '-', state: 'operation', delayMs: undefined };
  const kill: Blow = { target: 'guardian', signal: 'SIGKILL', during: 'session', when };
  const trial = async (changes: Partial<Fault>): Promise<Outcome> => {
    const faults = Array.from({ length: parallel }, (_, seed): Fault => ({ ...plain, ...changes, seed }));
    const outcomes = await Promise.all(faults.map(fault => inject(fault, base, NO_LENGTHS, true)));
    const [first] = outcomes.toSorted((a, b) => b.sessionMs - a.sessionMs);
    if (first === undefined) throw new Error('nothing was measured');
    return first;
  };
  const { sessionMs: session } = await trial({ way: 'session' });
  const { sessionMs: wrap, recoverMs: recover } = await trial({ way: 'wrap', blows: [kill] });
  const { sessionMs: whole } = await trial({ way: 'wrap' });
  return { session, wrap: Math.max(wrap, whole), recover };
}

const NO_LENGTHS: Lengths = { session: 0, wrap: 0, recover: 0 };

/** How many of each, most frequent first. */
export function tally(words: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1);
  return [...counts]
    .toSorted(([, a], [, b]) => b - a)
    .map(([word, count]) => `${count} ${word}`)
    .join(', ');
}

/** A violation with all that belongs to it. */
export const describeViolations = ({ fault, violations, struck, transcript }: Outcome): string =>
  [
    `seed ${fault.seed} (${fault.kind}):`,
    ...violations.map(text => `  ${text}`),
    `  the same again: npm run soak -- 1 ${fault.seed}`,
    JSON.stringify(fault),
    `struck: ${struck.join(', ')}`,
    transcript,
  ].join('\n');

/** The closing line. */
export function summarize(outcomes: readonly Outcome[]): string {
  const wrong = outcomes.filter(({ violations }) => violations.length > 0);
  const unstarted = outcomes.reduce((sum, outcome) => sum + outcome.unstarted, 0);
  return [
    `${outcomes.length} faults, ${wrong.length} with a violation`,
    `${unstarted} hooks told error that were recorded and not yet started`,
    tally(outcomes.map(({ fault }) => fault.kind)),
  ].join('; ');
}
