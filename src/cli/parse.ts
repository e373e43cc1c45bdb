// The command line: one table for parsing and for help. Nothing here reads or writes a file.
import { basename, resolve } from 'node:path';
import { gracePeriod, parseDuration } from '../system/duration.ts';
import type { Environment, HookEvent, HookSettings, Request, StatePaths, StatusRequest } from '../types.ts';
import { COMMANDS, type Command, LIBRARY, OPERATIONS, type OptionName, STATES } from './grammar.ts';
import { NO_COMMAND } from './help.ts';
import { parseOptions, type Values } from './options.ts';
import { asName, didYouMean, quote, suggest } from './text.ts';
import { UsageError } from './usage-error.ts';

/**
 * The request that the command line and the environment make.
 * `cwd` is the directory that relative paths start from; undefined if it no longer exists.
 * Throws UsageError.
 */
export function parse(
  argv: readonly string[],
  env: Environment,
  cwd: string | undefined,
  isRoot = process.geteuid?.() === 0,
): Request {
  const end = argv.indexOf('--');
  const { words, values } = parseOptions(end < 0 ? argv : argv.slice(0, end));
  const verbatim = end < 0 ? [] : argv.slice(end + 1);
  const [name, ...rest] = words[0] === 'wrap' ? words : [...words, ...verbatim];
  if (values.has('version')) return { kind: 'version' };
  if (name === 'help') return parseHelp(rest);
  if (name !== undefined) requireCommand(name);
  if (values.has('help')) return { kind: 'help', command: name };
  const command = name === undefined ? undefined : COMMANDS[name];
  if (name === undefined || command === undefined) throw new UsageError(NO_COMMAND);

  for (const option of values.keys()) {
    if (!command.options.some(known => known === option)) {
      const hint = suggest(option, command.options);
      throw new UsageError(`'${name}' has no option '--${option}'${didYouMean(hint && `--${hint}`)}`);
    }
  }
  const isVerify = name === 'library' && rest[1] === 'verify';
  requireWords(name, isVerify ? VERIFY : command, rest);
  const event = TAKES_NAMES.has(name)
    ? ANY_EVENT
    : parseEvent(name !== 'library' ? rest : isVerify ? [] : rest.slice(1));
  const directory = absolute(cwd);
  const given = (option: OptionName): string | undefined => {
    const value = values.get(option)?.[0];
    return value === undefined ? undefined : directory(value, `--${option}`);
  };
  const json = values.has('json');
  const dryRun = values.has('dry-run');
  const verbose = values.has('verbose');
  // From / when the caller's own directory is gone: no program could be started there.
  const here = cwd ?? '/';
  switch (name) {
    case 'fixclock':
      return { kind: 'fixclock', event, verbose };
    case 'recover': {
      const forget = values.has('forget');
      if (rest[0] !== undefined && !forget)
        throw new UsageError("'recover' takes an OPERATION only with --forget");
      const operations = rest[0] === undefined ? OPERATIONS : [event.operation];
      return {
        kind: 'recover',
        statePaths: parseStatePaths(env, directory, isRoot),
        operations,
        forget,
        dryRun,
      };
    }
    case 'status':
      return {
        kind: 'status',
        statePaths: parseStatePaths(env, directory, isRoot),
        form: oneForm(values),
        isWhole: values.has('all'),
        maxAgeMs: parseLimit(values.get('max-age')?.[0] ?? '26h', '--max-age') ?? Number.POSITIVE_INFINITY,
        name: values.get('name')?.[0],
      };
    case 'history':
      return {
        kind: 'history',
        statePaths: parseStatePaths(env, directory, isRoot),
        operations: rest[0] === undefined ? OPERATIONS : [event.operation],
      };
  }
  const settings = parseSettings(values, env, directory);
  const only = (values.get('only') ?? []).map(fileName);
  const session = { ...settings, operation: event.operation, verbose, only };
  switch (name) {
    case 'enable':
    case 'disable':
      return {
        kind: name,
        sources: settings.sources,
        names: rest.map(fileName),
        statePaths: parseStatePaths(env, directory, isRoot),
      };
    case 'new':
      return { kind: 'new', directory: hooksDirectory(settings), name: fileName(rest[0] ?? '') };
    case 'library': {
      const hook = oneOf(LIBRARY, rest[0] ?? '', 'hook');
      const file = given('settings') ?? `${hooksDirectory(settings)}/${hook}.conf`;
      return {
        kind: 'library',
        hook,
        event,
        ...(isVerify ? { verify: { directory: rest[2] && directory(rest[2], 'DIR') } } : {}),
        cwd: here,
        settings: file,
        statePaths: parseStatePaths(env, directory, isRoot),
      };
    }
    case 'list':
      return { kind: 'list', event, ...settings, json };
    case 'check':
      return {
        kind: 'check',
        event,
        ...settings,
        statePaths: parseStatePaths(env, directory, isRoot),
        json,
        names: rest.map(fileName),
      };
    case 'wrap': {
      const program = parseCommand(verbatim);
      return {
        kind: 'wrap',
        ...session,
        statePaths: parseStatePaths(env, directory, isRoot),
        inspect: given('inspect'),
        warnStatuses: (values.get('warn-status') ?? []).map(parseStatus),
        cwd: here,
        name: parseName(values.get('name')?.[0], program),
        waitMs: parseWait(values.get('wait')?.[0]),
        commandTimeoutMs: parseLimit(values.get('command-timeout')?.[0] ?? '0', '--command-timeout'),
        dryRun,
        command: program,
      };
    }
    case 'session':
      return {
        kind: 'session',
        ...session,
        name: undefined,
        waitMs: 0,
        statePaths: parseStatePaths(env, directory, isRoot),
        control: parseControl(values.get('control')?.[0]),
        ignoredSignals: (values.get('ignored') ?? []).map(parseSignal),
      };
    default:
      return { kind: 'run', event, ...settings, cwd: given('cwd') ?? here, only, dryRun, verbose };
  }
}

function parseHelp([name, ...more]: readonly string[]): Request {
  if (name !== undefined) requireCommand(name);
  if (more[0] !== undefined) throw new UsageError(`'help' takes no argument ${quote(more[0])}`);
  return { kind: 'help', command: name };
}

function requireCommand(name: string): void {
  if (Object.hasOwn(COMMANDS, name)) return;
  const hint = suggest(name, ['help', ...Object.keys(COMMANDS)]);
  throw new UsageError(`unknown command ${quote(name)}${didYouMean(hint)}`);
}

/** The event for commands that do not depend on one. */
const ANY_EVENT: HookEvent = { operation: 'backup', state: 'pre' };

/** Commands whose words are names of hooks. */
const TAKES_NAMES = new Set(['check', 'enable', 'disable', 'new']);

/** Of `library`, with another command in place of an operation and a state. */
const VERIFY: Pick<Command, 'arguments'> = { arguments: 'HOOK verify [DIR]' };

/** Throws UsageError for a word too few or too many. */
function requireWords(name: string, command: Pick<Command, 'arguments'>, words: readonly string[]): void {
  // What follows `--` is none of ours.
  const known = (command.arguments.split(' -- ')[0] ?? '').split(' ').filter(word => word !== '');
  const missing = known.filter(word => !word.startsWith('['))[words.length];
  if (missing !== undefined) {
    throw new UsageError(
      `'${name}' needs ${command.arguments}, and ${missing.replace('...', '')} is missing`,
    );
  }
  const surplus = words[known.length];
  if (surplus !== undefined && !known.at(-1)?.endsWith('...')) {
    const hint = name === 'wrap' ? ', COMMAND follows after --' : '';
    throw new UsageError(`'${name}' takes no argument ${quote(surplus)}${hint}`);
  }
}

function parseEvent([operation, state]: readonly string[]): HookEvent {
  return {
    operation: oneOf(OPERATIONS, operation ?? ANY_EVENT.operation, 'operation'),
    state: oneOf(STATES, state ?? ANY_EVENT.state, 'state'),
  };
}

const DEFAULT_HOOKS = '/etc/tklbam/hooks.d';
const DEFAULT_REGISTRY = '/var/lib/tklbam';

function parseSettings(
  values: Values,
  env: Environment,
  directory: ReturnType<typeof absolute>,
): HookSettings {
  const given = (option: OptionName): string | undefined => {
    const value = values.get(option)?.[0];
    return value === undefined ? undefined : directory(value, `--${option}`);
  };
  const named =
    given('hooks') ?? (env.TKLBAM_HOOKS ? directory(env.TKLBAM_HOOKS, 'TKLBAM_HOOKS') : undefined);
  const registry = directory(env.TKLBAM_REGISTRY || DEFAULT_REGISTRY, 'TKLBAM_REGISTRY');
  const keyrings = values.get('keyring') ?? env.TKLBAM_HOOKS_KEYRING?.split(':').filter(Boolean) ?? [];
  const from = values.has('keyring') ? '--keyring' : 'TKLBAM_HOOKS_KEYRING';
  checkGrace(env);
  return {
    sources: [
      named === undefined
        ? { kind: 'local', directory: DEFAULT_HOOKS }
        : { kind: 'local', directory: named, isNamed: true },
      { kind: 'profile', directory: resolve(given('profile') ?? `${registry}/profile`, 'hooks.d') },
    ],
    keyrings: keyrings.length === 0 ? undefined : keyrings.map(file => directory(file, from)),
    timeoutMs: parseTimeout(values.get('timeout')?.[0], env),
  };
}

const hooksDirectory = ({ sources }: HookSettings): string =>
  sources.find(({ kind }) => kind === 'local')?.directory ?? DEFAULT_HOOKS;

/**
 * An ordinary user, who cannot write to /var, has them in a registry of his own, where tklbam keeps its state then. Root's are always
 * where they are looked for at boot.
 */
function parseStatePaths(
  env: Environment,
  directory: ReturnType<typeof absolute>,
  isRoot: boolean,
): StatePaths {
  const registry = directory(env.TKLBAM_REGISTRY || DEFAULT_REGISTRY, 'TKLBAM_REGISTRY');
  const own = isRoot || registry === DEFAULT_REGISTRY ? undefined : registry;
  const state = own === undefined ? '/var/lib/tklbam-hooks' : `${own}/tklbam-hooks`;
  const log = own === undefined ? DEFAULT_LOG : `${own}/tklbam-hooks.log`;
  return {
    stateDirectory: directory(env.TKLBAM_HOOKS_STATE || state, 'TKLBAM_HOOKS_STATE'),
    log: directory(env.TKLBAM_HOOKS_LOG || log, 'TKLBAM_HOOKS_LOG'),
    ...(env.TKLBAM_HOOKS_METRICS && {
      metrics: directory(env.TKLBAM_HOOKS_METRICS, 'TKLBAM_HOOKS_METRICS'),
    }),
  };
}

/** The log that syslog gets a copy of. */
export const DEFAULT_LOG = '/var/log/tklbam-hooks.log';

function parseCommand(words: readonly string[]): [string, ...string[]] {
  const [file, ...args] = words;
  if (file === undefined || file === '')
    throw new UsageError("'wrap' needs -- COMMAND, and COMMAND is missing");
  if (file.includes('\ufffd')) throw new UsageError('the name of COMMAND is not valid UTF-8');
  return [file, ...args];
}

function parseControl(text: string | undefined): number | string {
  if (text === undefined) throw new UsageError("'session' needs --control FD; see tklbam-hooks-protocol(7)");
  // Of a guardian that was started ahead, and could not inherit it.
  if (/^@[\w-]+$/.test(text)) return text.slice(1);
  return parseDescriptor('--control', text);
}

export function parseDescriptor(option: string, text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new UsageError(`${option}: ${quote(text)} is no file descriptor`);
  return Number(text);
}

function parseStatus(text: string): number {
  if (/^\d{1,3}$/.test(text) && Number(text) >= 1 && Number(text) <= 125) return Number(text);
  throw new UsageError(`--warn-status: ${quote(text)} is no exit status from 1 to 125`);
}

function parseSignal(text: string): NodeJS.Signals {
  return oneOf(['SIGHUP', 'SIGINT', 'SIGQUIT'], `SIG${text}`, 'signal');
}

/** The time limit of each hook; undefined for none. 6 h: long enough for any dump, short enough not to hold backups up for weeks. */
function parseTimeout(option: string | undefined, env: Environment): number | undefined {
  const text = option ?? (env.TKLBAM_HOOKS_TIMEOUT || '6h');
  return parseLimit(text, option === undefined ? 'TKLBAM_HOOKS_TIMEOUT' : '--timeout');
}

function parseLimit(text: string, from: string): number | undefined {
  const ms = parseDuration(text);
  if (ms === undefined) throw new UsageError(`${from}: ${quote(text)} is no duration, ${DURATION_REMEDY}`);
  return ms === 0 ? undefined : ms;
}

function oneForm(values: Values): StatusRequest['form'] {
  const asked = (['json', 'check', 'prometheus'] as const).filter(name => values.has(name));
  if (asked.length > 1) throw new UsageError(`'status' takes one of --${asked.join(' and --')}`);
  const [form = 'text'] = asked;
  const [foreign] = form === 'check' ? [] : (['max-age', 'name'] as const).filter(name => values.has(name));
  if (foreign !== undefined) throw new UsageError(`'--${foreign}' is for 'status --check'`);
  return form;
}

/** Not at all if it is not given, and for ever if it is given without a duration. */
function parseWait(text: string | undefined): number {
  if (text === undefined) return 0;
  return text === '' ? Number.POSITIVE_INFINITY : (parseLimit(text, '--wait') ?? 0);
}

function parseName(text: string | undefined, [file]: readonly [string, ...string[]]): string {
  const name = asName(text ?? basename(file));
  if (text !== undefined && text !== name)
    throw new UsageError(`--name: ${quote(text)} is not of 1 to 64 letters, digits and . _ @ : + -`);
  return name;
}

const DURATION_REMEDY = 'write it as 90s, 5m or 6h (at most 500h), or 0 for none';

/** Refuses bad values of TKLBAM_HOOKS_GRACE early; plan() reads it again from the environment of the hooks. */
function checkGrace(env: Environment): void {
  if (gracePeriod(env) !== undefined) return;
  throw new UsageError(
    `TKLBAM_HOOKS_GRACE: ${quote(env.TKLBAM_HOOKS_GRACE ?? '')} is no duration, ${DURATION_REMEDY}`,
  );
}

/** Makes a path absolute; `from` says in an error where it was given. */
const absolute =
  (cwd: string | undefined) =>
  (path: string, from: string): string => {
    // Node.js puts U+FFFD where an argument or variable is not UTF-8: the directory that was meant is lost.
    if (path.includes('\ufffd')) throw new UsageError(`${from} is not valid UTF-8`);
    if (cwd === undefined && !path.startsWith('/')) {
      throw new UsageError(`${from} is relative, and the current directory no longer exists`);
    }
    return resolve(cwd ?? '/', path);
  };

function fileName(word: string): string {
  if (word.includes('/')) throw new UsageError(`it takes the name of a hook, not a path: ${quote(word)}`);
  return word;
}

function oneOf<T extends string>(known: readonly T[], word: string, what: string): T {
  const match = known.find(one => one === word);
  if (match !== undefined) return match;
  throw new UsageError(
    `unknown ${what} ${quote(word)}${didYouMean(suggest(word, known)) || `, it is one of ${known.join(', ')}`}`,
  );
}
