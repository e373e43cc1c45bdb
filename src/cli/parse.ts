// The command line: one table for parsing and for help. Nothing here reads or writes a file.
import { resolve } from 'node:path';
import { gracePeriod, parseDuration } from '../system/duration.ts';
import type { Environment, HookEvent, HookSettings, Request, StatePaths } from '../types.ts';
import { COMMANDS, type Command, LIBRARY, OPERATIONS, type OptionName, STATES } from './grammar.ts';
import { parseOptions, type Values } from './options.ts';
import { quote, suggest } from './text.ts';
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
  if (name === undefined || command === undefined) throw new UsageError('no command given');

  for (const option of values.keys()) {
    if (!command.options.some(known => known === option)) {
      const hint = suggest(option, command.options);
      throw new UsageError(`'${name}' has no option '--${option}'${hint && `, did you mean '--${hint}'?`}`);
    }
  }
  requireWords(name, command, rest);
  const event = TAKES_NAMES.has(name) ? ANY_EVENT : parseEvent(name === 'library' ? rest.slice(1) : rest);
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
      return { kind: 'status', statePaths: parseStatePaths(env, directory, isRoot), json };
  }
  const settings = parseSettings(values, env, directory);
  const session = { ...settings, operation: event.operation, verbose };
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
        settings: file,
        statePaths: parseStatePaths(env, directory, isRoot),
      };
    }
    case 'list':
      return { kind: 'list', event, ...settings, json };
    case 'check':
      return { kind: 'check', event, ...settings, json, names: rest.map(fileName) };
    case 'wrap':
      return {
        kind: 'wrap',
        ...session,
        statePaths: parseStatePaths(env, directory, isRoot),
        inspect: given('inspect'),
        warnStatuses: (values.get('warn-status') ?? []).map(parseStatus),
        cwd: here,
        command: parseCommand(verbatim),
      };
    case 'session':
      return {
        kind: 'session',
        ...session,
        statePaths: parseStatePaths(env, directory, isRoot),
        control: parseDescriptor(values.get('control')?.[0]),
        ignoredSignals: (values.get('ignored') ?? []).map(parseSignal),
      };
    default: {
      const only = (values.get('only') ?? []).map(fileName);
      return { kind: 'run', event, ...settings, cwd: given('cwd') ?? here, only, dryRun, verbose };
    }
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
  throw new UsageError(`unknown command ${quote(name)}${hint && `, did you mean '${hint}'?`}`);
}

/** The event for commands that do not depend on one. */
const ANY_EVENT: HookEvent = { operation: 'backup', state: 'pre' };

/** Commands whose words are names of hooks. */
const TAKES_NAMES = new Set(['check', 'enable', 'disable', 'new']);

/** Throws UsageError for a word too few or too many. */
function requireWords(name: string, command: Command, words: readonly string[]): void {
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

function parseDescriptor(text: string | undefined): number {
  if (text === undefined)
    throw new UsageError("'session' needs --control FD; see PROTOCOL in tklbam-hooks(8)");
  if (!/^\d{1,9}$/.test(text)) throw new UsageError(`--control: ${quote(text)} is no file descriptor`);
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
  const ms = parseDuration(text);
  if (ms === undefined) {
    const from = option === undefined ? 'TKLBAM_HOOKS_TIMEOUT' : '--timeout';
    throw new UsageError(`${from}: ${quote(text)} is no duration, ${DURATION_REMEDY}`);
  }
  return ms === 0 ? undefined : ms;
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
  if (match === undefined)
    throw new UsageError(`unknown ${what} ${quote(word)}, it is one of ${known.join(', ')}`);
  return match;
}
