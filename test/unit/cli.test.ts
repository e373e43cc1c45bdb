import assert from 'node:assert/strict';
import { test } from 'node:test';
import { COMMANDS, LIBRARY } from '../../src/cli/grammar.ts';
import { help, NO_COMMAND } from '../../src/cli/help.ts';
import { parse } from '../../src/cli/parse.ts';
import { escapeControls, listed } from '../../src/cli/text.ts';
import { UsageError } from '../../src/cli/usage-error.ts';
import { MANUAL_PAGES } from '../support/manual.ts';

const parseWords = (line: string, env: Record<string, string> = {}, cwd: string | undefined = '/here') =>
  parse(line === '' ? [] : line.split(' '), env, cwd);

const run = {
  kind: 'run',
  event: { operation: 'backup', state: 'pre' },
  sources: [
    { kind: 'local', directory: '/etc/tklbam/hooks.d' },
    { kind: 'profile', directory: '/var/lib/tklbam/profile/hooks.d' },
  ],
  keyrings: undefined,
  timeoutMs: 6 * 3600 * 1000,
  cwd: '/here',
  only: [],
  dryRun: false,
  verbose: false,
};
const { cwd: _cwd, only: _only, dryRun: _dryRun, verbose: _verbose, ...settings } = run;
const list = { ...settings, kind: 'list', json: false };
const local = (directory: string) => ({
  ...run,
  sources: [{ kind: 'local', directory, isNamed: true }, run.sources[1]],
});
const profile = (directory: string) => ({
  ...run,
  sources: [run.sources[0], { kind: 'profile', directory }],
});

const statePaths = { stateDirectory: '/var/lib/tklbam-hooks', log: '/var/log/tklbam-hooks.log' };
const library = (file: string) => ({
  kind: 'library',
  hook: 'services',
  event: { operation: 'backup', state: 'post' },
  cwd: '/here',
  settings: file,
  statePaths,
});

const verification = (place: string | undefined) => ({
  ...library('/etc/tklbam/hooks.d/sqlite.conf'),
  hook: 'sqlite',
  event: { operation: 'backup', state: 'pre' },
  verify: { directory: place },
});

const requests: [string, Record<string, string>, unknown][] = [
  ['--version', {}, { kind: 'version' }],
  ['run backup pre --version', {}, { kind: 'version' }],
  ['--help', {}, { kind: 'help', command: undefined }],
  ['run --help', {}, { kind: 'help', command: 'run' }],
  ['list -h', {}, { kind: 'help', command: 'list' }],
  ['help', {}, { kind: 'help', command: undefined }],
  ['help list', {}, { kind: 'help', command: 'list' }],
  ['help --help', {}, { kind: 'help', command: undefined }],
  ['run backup pre --only -x', {}, { ...run, only: ['-x'] }],
  ['run backup pre --only --x --only=--json', {}, { ...run, only: ['--x', '--json'] }],
  ['run backup pre -vv', {}, { ...run, verbose: true }],
  ['run backup pre --cwd a=b', {}, { ...run, cwd: '/here/a=b' }],
  ['run backup pre', {}, run],
  ['run restore error', {}, { ...run, event: { operation: 'restore', state: 'error' } }],
  ['run backup pre --hooks /h', {}, local('/h')],
  ['run backup pre --hooks=/h', {}, local('/h')],
  ['run --hooks /h backup pre', {}, local('/h')],
  ['run backup pre --hooks h/../g', {}, local('/here/g')],
  ['run backup pre', { TKLBAM_HOOKS: '/h' }, local('/h')],
  ['run backup pre --hooks /i', { TKLBAM_HOOKS: '/h' }, local('/i')],
  ['run backup pre', { TKLBAM_HOOKS: '' }, run],
  ['run backup pre', { TKLBAM_REGISTRY: '/r' }, profile('/r/profile/hooks.d')],
  ['run backup pre --profile /p', { TKLBAM_REGISTRY: '/r' }, profile('/p/hooks.d')],
  ['run backup pre --cwd sub', {}, { ...run, cwd: '/here/sub' }],
  ['run backup pre --only a --only=b', {}, { ...run, only: ['a', 'b'] }],
  ['run backup pre --only 0x10', {}, { ...run, only: ['0x10'] }],
  ['run backup pre --timeout 90s', {}, { ...run, timeoutMs: 90_000 }],
  ['run backup pre --timeout 0', {}, { ...run, timeoutMs: undefined }],
  ['run backup pre', { TKLBAM_HOOKS_TIMEOUT: '5m' }, { ...run, timeoutMs: 300_000 }],
  ['run backup pre --timeout 7', { TKLBAM_HOOKS_TIMEOUT: '5m' }, { ...run, timeoutMs: 7000 }],
  ['run backup pre --keyring /a --keyring b', {}, { ...run, keyrings: ['/a', '/here/b'] }],
  ['run backup pre', { TKLBAM_HOOKS_KEYRING: '/a:/b' }, { ...run, keyrings: ['/a', '/b'] }],
  ['check a b --json', {}, { ...settings, kind: 'check', statePaths, json: true, names: ['a', 'b'] }],
  ['run --verbose backup pre --dry-run', {}, { ...run, verbose: true, dryRun: true }],
  ['run -v backup pre', {}, { ...run, verbose: true }],
  ['list', {}, { ...list }],
  ['list --json restore', {}, { ...list, event: { operation: 'restore', state: 'pre' }, json: true }],
  [
    'enable a b --hooks /h',
    {},
    { kind: 'enable', sources: local('/h').sources, names: ['a', 'b'], statePaths },
  ],
  ['disable a', {}, { kind: 'disable', sources: run.sources, names: ['a'], statePaths }],
  ['new a', {}, { kind: 'new', directory: '/etc/tklbam/hooks.d', name: 'a' }],
  ['library services backup post', { TKLBAM_HOOKS: '/h' }, library('/h/services.conf')],
  ['library services backup post --settings web.conf', {}, library('/here/web.conf')],
  ['library sqlite verify', {}, verification(undefined)],
  ['library sqlite verify dumps', {}, verification('/here/dumps')],
  [
    'fixclock restore pre',
    {},
    { kind: 'fixclock', event: { operation: 'restore', state: 'pre' }, verbose: false },
  ],
  [
    'fixclock -v restore pre',
    {},
    { kind: 'fixclock', event: { operation: 'restore', state: 'pre' }, verbose: true },
  ],
];
const statePathsOf = (env: Record<string, string>, isRoot: boolean) => {
  const request = parse(['status'], env, '/here', isRoot);
  assert.equal(request.kind, 'status');
  return request.kind === 'status' ? request.statePaths : undefined;
};
test("the state of an ordinary user's sessions is in his registry, if he has one", () => {
  const usual = { stateDirectory: '/var/lib/tklbam-hooks', log: '/var/log/tklbam-hooks.log' };
  const own = { stateDirectory: '/r/tklbam-hooks', log: '/r/tklbam-hooks.log' };
  assert.deepEqual(statePathsOf({ TKLBAM_REGISTRY: '/r' }, false), own);
  assert.deepEqual(statePathsOf({ TKLBAM_REGISTRY: '/r/' }, true), usual);
  assert.deepEqual(statePathsOf({ TKLBAM_REGISTRY: '/var/lib/tklbam' }, false), usual);
  assert.deepEqual(statePathsOf({}, false), usual);
  const given = { TKLBAM_REGISTRY: '/r', TKLBAM_HOOKS_STATE: '/s', TKLBAM_HOOKS_LOG: '/l' };
  assert.deepEqual(statePathsOf(given, false), { stateDirectory: '/s', log: '/l' });
});

for (const [line, env, expected] of requests) {
  test(`parse: ${line} ${JSON.stringify(env)}`, () => assert.deepEqual(parseWords(line, env), expected));
}

const errors: [string, string][] = [
  ['', NO_COMMAND],
  ['-v', NO_COMMAND],
  ['sing', "unknown command 'sing'"],
  ['toString', "unknown command 'toString'"],
  ['run', "'run' needs OPERATION STATE, and OPERATION is missing"],
  ['run backup', "'run' needs OPERATION STATE, and STATE is missing"],
  ['run backup pre again', "'run' takes no argument 'again'"],
  ['run Backup pre', "unknown operation 'Backup', did you mean 'backup'?"],
  ['run save pre', "unknown operation 'save', it is one of backup, restore"],
  ['run backup psot', "unknown state 'psot', did you mean 'post'?"],
  ['library sqllite backup pre', "unknown hook 'sqllite', did you mean 'sqlite'?"],
  ['run backup mid', "unknown state 'mid', it is one of pre, inspect, post, error"],
  ['run backup ../../x', "unknown state '../../x', it is one of pre, inspect, post, error"],
  ['run backup pre --lsit', "unknown option '--lsit'"],
  ['run backup pre --hook /h', "unknown option '--hook', did you mean '--hooks'?"],
  ['run backup pre --dryrun', "unknown option '--dryrun', did you mean '--dry-run'?"],
  ['run backup pre --tiemout 1h', "unknown option '--tiemout', did you mean '--timeout'?"],
  ['run backup pre --dry-run=false', "option '--dry-run' takes no value"],
  ['list --json=false', "option '--json' takes no value"],
  ['--version=no', "option '--version' takes no value"],
  ['--help=run', "option '--help' takes no value"],
  ['run backup pre ---', "unknown option '---'"],
  ['run backup pre ----', "unknown option '----'"],
  ['run backup pre ---dry-run', "unknown option '---dry-run', did you mean '--dry-run'?"],
  ['run backup pre -vx', "unknown option '-vx'"],
  ['run backup pre -v=1', "unknown option '-v=1'"],
  ['run backup pre --only', "option '--only' needs a value"],
  ['run backup pre --only=', "option '--only' needs a value"],
  ['status --jsno', "unknown option '--jsno', did you mean '--json'?"],
  ['stauts', "unknown command 'stauts', did you mean 'status'?"],
  ['recovery', "unknown command 'recovery', did you mean 'recover'?"],
  ['backup pre', "unknown command 'backup'"],
  ['help stauts', "unknown command 'stauts', did you mean 'status'?"],
  ['help run list', "'help' takes no argument 'list'"],
  ['run backup pre -x', "unknown option '-x'"],
  ['run backup pre --__proto__ x', "unknown option '--__proto__'"],
  ['run backup pre --no-verbose', "unknown option '--no-verbose', did you mean '--verbose'?"],
  ['run backup pre -', "unknown option '-'"],
  ['run backup pre --json', "'run' has no option '--json'"],
  ['fixclock backup pre --hooks /h', "'fixclock' has no option '--hooks'"],
  ['run backup pre --hooks', "option '--hooks' needs a value"],
  ['run backup pre --hooks --verbose', "option '--hooks' needs a value"],
  ['run --hooks= backup pre', "option '--hooks' needs a value"],
  ['run backup pre --hooks /a --hooks /b', "option '--hooks' is given twice"],
  [
    'run backup pre --timeout 21d',
    "--timeout: '21d' is no duration, write it as 90s, 5m or 6h (at most 500h), or 0 for none",
  ],
  [
    'run backup pre --timeout 501h',
    "--timeout: '501h' is no duration, write it as 90s, 5m or 6h (at most 500h), or 0 for none",
  ],
  ['enable', "'enable' needs NAME..., and NAME is missing"],
  ['new', "'new' needs NAME, and NAME is missing"],
  ['new a b', "'new' takes no argument 'b'"],
  ['new ../x', "it takes the name of a hook, not a path: '../x'"],
  ['disable ../x', "it takes the name of a hook, not a path: '../x'"],
  ['library sqlite verify a b', "'library' takes no argument 'b'"],
  ['library services backup', "'library' needs HOOK OPERATION STATE, and STATE is missing"],
  ['library nothing backup pre', `unknown hook 'nothing', it is one of ${LIBRARY.join(', ')}`],
  ['check ../x', "it takes the name of a hook, not a path: '../x'"],
  ['run backup pre --only a/b', "it takes the name of a hook, not a path: 'a/b'"],
  ['run backup pre --hooks /a\ufffd', '--hooks is not valid UTF-8'],
];
for (const [line, message] of errors) {
  test(`parse: '${line}' is refused`, () => assert.throws(() => parseWords(line), new UsageError(message)));
}

test('a grace that is no duration is refused', () => {
  assert.throws(
    () => parseWords('run backup pre', { TKLBAM_HOOKS_GRACE: 'long' }),
    new UsageError(
      "TKLBAM_HOOKS_GRACE: 'long' is no duration, write it as 90s, 5m or 6h (at most 500h), or 0 for none",
    ),
  );
});

test('a relative directory is refused where there is no current directory', () => {
  assert.throws(
    () => parse(['run', 'backup', 'pre', '--hooks', 'h'], {}, undefined),
    new UsageError('--hooks is relative, and the current directory no longer exists'),
  );
});

test('hooks start in / where there is no current directory', () => {
  assert.deepEqual(parse(['run', 'backup', 'pre'], {}, undefined), { ...run, cwd: '/' });
});

test('words after -- are no options', () => {
  assert.throws(
    () => parse(['run', 'backup', 'pre', '--', '--json'], {}, '/'),
    new UsageError("'run' takes no argument '--json'"),
  );
});

test('options of wrap stand before COMMAND in its help', () => {
  assert.match(
    help('wrap'),
    /^Usage: tklbam-hooks wrap OPERATION \[OPTION\]\.\.\. -- COMMAND \[ARG\]\.\.\.$/m,
  );
});

test('help of a command has what is its own, and nothing else', () => {
  assert.doesNotMatch(help('status'), /OPERATION|STATE|a hook|COMMAND|signal/);
  assert.doesNotMatch(help('run'), /COMMAND|75|check/);
  assert.match(help('wrap'), /75 .*put it off/);
});

test('what is said without a command is what is asked for most, and fits 80 columns', () => {
  assert.match(NO_COMMAND, /^no command given.*\n {2}tklbam-hooks status +whether/);
  for (const line of `tklbam-hooks: ${NO_COMMAND}`.split('\n')) assert.ok(line.length <= 80, line);
});

test('every example of the help can be understood', () => {
  for (const [name, { examples }] of Object.entries(COMMANDS)) {
    for (const example of examples) assert.equal(parseWords(example).kind, name, example);
    assert.ok(help(name).includes(`tklbam-hooks ${examples[0]}`), name);
  }
});

test('help names the manual pages that there are', () => {
  const named = [undefined, ...Object.keys(COMMANDS)].flatMap(command => [
    ...help(command).matchAll(/\b(tklbam-hooks[a-z-]*)\((\d)\)/g),
  ]);
  const pages = [...new Set(named.map(([, name, section]) => `${name}.${section}`))];
  assert.deepEqual(pages.sort(), MANUAL_PAGES.map(({ name }) => name).sort());
});

for (const command of [undefined, ...Object.keys(COMMANDS)]) {
  test(`help of ${command ?? 'all'} is ASCII, which every terminal has`, () => {
    assert.match(help(command), /^[\n\x20-\x7e]*$/);
  });
  test(`help of ${command ?? 'all'} fits 80 columns`, () => {
    for (const line of help(command).split('\n')) assert.ok(line.length <= 80, line);
  });
}

test('what a terminal or a log would act on is escaped', () => {
  assert.equal(escapeControls('a\nb\x1b[31m\u202e\\\u0085 é 漢'), 'a\\x0ab\\x1b[31m\\u{202e}\\\\\\x85 é 漢');
});

test('of many names, a sentence has the first', () => {
  assert.equal(listed(['a', 'b', 'c'], 3), 'a, b, c');
  assert.equal(listed(['a', 'b', 'c', 'd'], 3), 'a, b and 2 more');
});
