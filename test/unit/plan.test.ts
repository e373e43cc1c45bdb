import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NO_HEADER } from '../../src/hooks/header.ts';
import { plan } from '../../src/hooks/plan.ts';
import { searchPath } from '../../src/system/which.ts';
import type {
  Candidate,
  Environment,
  HookEvent,
  HookSource,
  Judged,
  JudgedListing,
  RunRequest,
  Verdict,
} from '../../src/types.ts';

const local: HookSource = { kind: 'local', directory: '/l' };
const profile: HookSource = { kind: 'profile', directory: '/p' };

function judged(source: HookSource, name: string, verdict: Verdict = { kind: 'run' }): Judged {
  const hook: Candidate = {
    source,
    name,
    bytes: Buffer.from(name),
    path: `${source.directory}/${name}`,
    link: undefined,
    file: { type: 'file', size: 1, uid: 0, gid: 0, mode: 0o755, modifiedMs: 0 },
    program: { kind: 'shell-text' },
    access: 'ok',
    interpreters: [],
    ancestorDirs: [],
    header: NO_HEADER,
  };
  return { hook, verdict };
}

interface Case {
  readonly state: HookEvent['state'];
  readonly entries?: readonly Judged[];
  readonly listings?: readonly JudgedListing[];
  readonly only?: readonly string[];
  readonly env?: Environment;
}
const three = [judged(local, 'a'), judged(local, 'b'), judged(profile, 'a')];
function planned({ state, entries = three, listings = [], only = [], env = {} }: Case) {
  const request: RunRequest = {
    kind: 'run',
    event: { operation: 'backup', state },
    sources: [local, profile],
    keyrings: undefined,
    timeoutMs: 1000,
    cwd: '/w',
    only,
    dryRun: false,
    verbose: false,
  };
  return plan(request, listings, entries, env, 'id');
}
const paths = (made: ReturnType<typeof planned>): string[] => made.steps.map(({ hook }) => hook.path);

for (const state of ['pre', 'inspect'] as const) {
  test(`${state}: local before profile, as the directories have them`, () => {
    assert.deepEqual(paths(planned({ state })), ['/l/a', '/l/b', '/p/a']);
  });
}
for (const state of ['post', 'error'] as const) {
  test(`${state}: the whole sequence reversed`, () => {
    assert.deepEqual(paths(planned({ state })), ['/p/a', '/l/b', '/l/a']);
  });
}

const broken: Verdict = { kind: 'broken', defect: { kind: 'crlf' } };
test('pre: nothing runs if any hook cannot be started', () => {
  const made = planned({ state: 'pre', entries: [judged(local, 'a'), judged(local, 'b', broken)] });
  assert.deepEqual(paths(made), []);
  assert.deepEqual(
    made.failures.map(({ kind }) => kind),
    ['broken'],
  );
});
test('post: the other hooks run if one cannot be started', () => {
  const made = planned({ state: 'post', entries: [judged(local, 'a'), judged(local, 'b', broken)] });
  assert.deepEqual(paths(made), ['/l/a']);
  assert.deepEqual(
    made.failures.map(({ kind }) => kind),
    ['broken'],
  );
});
test('pre: nothing runs if a directory cannot be read', () => {
  const made = planned({
    state: 'pre',
    listings: [
      { source: local, state: { error: 'EACCES' }, ancestorDirs: [], refusal: undefined, candidates: [] },
    ],
  });
  assert.deepEqual(paths(made), []);
  assert.deepEqual(made.failures, [{ kind: 'directory', source: local, code: 'EACCES' }]);
});
const untrusted: JudgedListing = {
  source: local,
  state: 'read',
  ancestorDirs: [],
  refusal: { kind: 'owner', uid: 1000, directory: '/l' },
  candidates: [],
};
test('a directory that is refused is a failure, whatever is in it', () => {
  const made = planned({ state: 'pre', entries: [judged(profile, 'a')], listings: [untrusted] });
  assert.deepEqual(paths(made), []);
  const { refusal, source } = untrusted;
  assert.deepEqual(made.failures, [{ kind: 'directory-refused', source, refusal }]);
});
test('a directory in which a hook is refused is told once', () => {
  const refused: Verdict = { kind: 'refuse', refusal: { kind: 'set-id' } };
  const made = planned({ state: 'pre', entries: [judged(local, 'a', refused)], listings: [untrusted] });
  assert.deepEqual(
    made.failures.map(({ kind }) => kind),
    ['refused'],
  );
});
test('an absent directory is no failure', () => {
  const made = planned({
    state: 'pre',
    listings: [{ source: local, state: 'absent', ancestorDirs: [], refusal: undefined, candidates: [] }],
  });
  assert.deepEqual(made.failures, []);
});

test('--only leaves the others out, broken ones too', () => {
  const made = planned({
    state: 'pre',
    entries: [judged(local, 'a'), judged(local, 'b', broken)],
    only: ['a'],
  });
  assert.deepEqual([paths(made), made.failures], [['/l/a'], []]);
});
for (const state of ['pre', 'post'] as const) {
  test(`${state}: nothing runs if --only names what is no hook`, () => {
    const made = planned({ state, only: ['a', 'x'] });
    assert.deepEqual([paths(made), made.failures], [[], [{ kind: 'not-a-hook', name: 'x', why: undefined }]]);
  });
}
test('--only with a disabled hook says so', () => {
  const made = planned({
    state: 'pre',
    entries: [judged(local, 'a', { kind: 'skip', why: 'disabled' })],
    only: ['a'],
  });
  assert.deepEqual(made.failures, [{ kind: 'not-a-hook', name: 'a', why: 'disabled' }]);
});

const secrets =
  'PASSPHRASE SIGN_PASSPHRASE TKLBAM_PASSPHRASE BORG_PASSPHRASE BORG_PASSCOMMAND RESTIC_PASSWORD RESTIC_PASSWORD_FILE FTP_PASSWORD ' +
  'PGPASSWORD MYSQL_PWD SSHPASS RCLONE_CONFIG_PASS AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_SECURITY_TOKEN ' +
  'X_AMZ_SECURITY_TOKEN B2_ACCOUNT_KEY AZURE_ACCOUNT_KEY AZURE_ACCOUNT_SAS ST_KEY ST_AUTH CLOUDFILES_APIKEY ' +
  'GOOGLE_APPLICATION_CREDENTIALS KOPIA_PASSWORD passphrase AZURE_STORAGE_CONNECTION_STRING';
const harmless =
  'NTPSERVER PWD OLDPWD HOME MIGRATE_DB RESTIC_REPOSITORY SSH_AUTH_SOCK DBUS_SESSION_BUS_ADDRESS TKLBAM_HOOK_SIMULATE ' +
  'TKLBAM_HOOKS_KEYRING MONKEY KEYMAP COMPASS ENV';
const named = (names: string): Record<string, string> =>
  Object.fromEntries(names.split(' ').map(name => [name, '/value']));

test("a hook's environment: the caller's, less secrets and what tklbam left in it, with ours", () => {
  const env = {
    ...named(`${secrets} ${harmless} PYTHONPATH PYTHONHOME`),
    PATH: '/usr/bin',
    TKLBAM_HOOK_NAME: 'stale',
    TKLBAM_HOOK_ERROR: 'stale',
  };
  const step = planned({ state: 'pre', env }).steps[1];
  assert.deepEqual(step?.args, ['backup', 'pre']);
  assert.equal(step?.cwd, '/w');
  assert.deepEqual(step?.env, {
    ...named(harmless),
    PATH: '/usr/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/sbin:/bin',
    TKLBAM_HOOK_OPERATION: 'backup',
    TKLBAM_HOOK_STATE: 'pre',
    TKLBAM_HOOK_NAME: 'b',
    TKLBAM_HOOK_SESSION: 'id',
  });
});
test('a hook that asks for secrets gets them, and the others do not', () => {
  const entries = ['a', 'b'].map(name => judged(local, name));
  const [asking, other] = entries;
  assert.ok(asking !== undefined && other !== undefined);
  const hook = { ...asking.hook, header: { ...NO_HEADER, secrets: true } };
  const env = named(`${secrets} PYTHONPATH`);
  const [first, second] = planned({ state: 'pre', env, entries: [{ ...asking, hook }, other] }).steps;
  for (const name of secrets.split(' ')) {
    assert.deepEqual([name, first?.env[name], second?.env[name]], [name, '/value', undefined]);
  }
  assert.equal(first?.env.PYTHONPATH, undefined);
});
const codePaths: [string, string, string | undefined][] = [
  ['LD_LIBRARY_PATH', ':/opt/lib', '/opt/lib'],
  ['LD_LIBRARY_PATH', '.', undefined],
  ['PERL5LIB', 'lib:/opt/perl:', '/opt/perl'],
  ['RUBYLIB', '', undefined],
  ['CLASSPATH', './x.jar:/y.jar', '/y.jar'],
  ['BASH_ENV', './env', undefined],
  ['BASH_ENV', '/etc/env', '/etc/env'],
];
for (const [name, given, expected] of codePaths) {
  test(`${name} '${given}' reaches a hook as ${expected}`, () => {
    assert.equal(planned({ state: 'pre', env: { [name]: given } }).steps[0]?.env[name], expected);
  });
}
test('in state error a hook is told what went wrong', () => {
  const env = { TKLBAM_HOOK_ERROR: 'disk full' };
  const made = planned({ state: 'error', env }).steps[0]?.env;
  assert.deepEqual([made?.TKLBAM_HOOK_ERROR, made?.TKLBAM_HOOK_FAILED], ['disk full', '']);
});

const whole = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const pathCases: [string | undefined, string][] = [
  [undefined, whole],
  ['', whole],
  [':', whole],
  ['.:bin:', whole],
  [':/opt/x::./y:', `/opt/x:${whole}`],
  [whole, whole],
  ['/opt/x:/bin', '/opt/x:/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin'],
];
for (const [given, expected] of pathCases) {
  test(`PATH '${given}' is completed`, () => assert.equal(searchPath(given), expected));
}

for (const [env, graceMs] of [
  [{}, 10_000],
  [{ TKLBAM_HOOKS_GRACE: '' }, 10_000],
  [{ TKLBAM_HOOKS_GRACE: '2m' }, 120_000],
  [{ TKLBAM_HOOKS_GRACE: '0' }, 0],
] as [Environment, number][]) {
  test(`a hook has ${graceMs} ms to end, with ${JSON.stringify(env)}`, () => {
    assert.deepEqual(
      planned({ state: 'pre', env }).steps.map(step => step.graceMs),
      [graceMs, graceMs, graceMs],
    );
  });
}
