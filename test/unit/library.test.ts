// Settings of ready hooks, and what `services` makes of what systemd says.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { cleanup } from '../../src/library/cleanup/cleanup.ts';
import { tmpfilesLines } from '../../src/library/cleanup/directories.ts';
import { endpointRule, membersOf, revisionOf } from '../../src/library/etcd/answers.ts';
import { etcd } from '../../src/library/etcd/etcd.ts';
import { mariadb } from '../../src/library/mariadb/mariadb.ts';
import { backendsOf, unfold, withDirectories } from '../../src/library/openldap/ldif.ts';
import { openldap } from '../../src/library/openldap/openldap.ts';
import { postgresql } from '../../src/library/postgresql/postgresql.ts';
import {
  addressArgs,
  addressRule,
  keyCounts,
  pairs,
  programsOf,
  rdbSummary,
} from '../../src/library/redis/answers.ts';
import { redis } from '../../src/library/redis/redis.ts';
import { services } from '../../src/library/services/services.ts';
import {
  closure,
  isStarted,
  parseUnits,
  type Unit,
  unitAround,
  unitName,
} from '../../src/library/services/units.ts';
import { parseSettings, words } from '../../src/library/settings.ts';
import { snapshot } from '../../src/library/snapshot/snapshot.ts';
import { sqlite } from '../../src/library/sqlite/sqlite.ts';
import { tklbamDatabases } from '../../src/library/tklbam-databases/tklbam-databases.ts';
import { repository } from '../support/repository.ts';

const settings = (text: string) => parseSettings('/h/services.conf', text, services.settings);
const reasons = (text: string) => settings(text).problems.map(({ reason }) => reason);

test('settings: values, and what is commented out or empty is not set', () => {
  const text = '# a\nSERVICES="mysql apache2"\n#QUIESCE=no\nQUIESCE=\n';
  assert.deepEqual(settings(text), { values: { SERVICES: 'mysql apache2' }, problems: [] });
});

test('settings: no shell reads them', () => {
  assert.deepEqual(words(settings("SERVICES='a   b'\n").values.SERVICES), ['a', 'b']);
  assert.deepEqual(reasons('SERVICES="$(id)"\n'), [
    "'/h/services.conf' line 1: SERVICES has '$(id)', which is no name of a service",
  ]);
});

const faults: [string, string][] = [
  ['\nSERVICE=mysql\n', "line 2: unknown setting 'SERVICE'"],
  ['toString=x\n', "line 1: unknown setting 'toString'"],
  ['QUIESCE=maybe\n', "line 1: QUIESCE is 'maybe', and can only be yes or no"],
  ['# a\nmysql apache2\n', 'line 2: it is not NAME=VALUE'],
  ['SERVICES="a b\n', 'line 1: it has a quote that is not closed'],
  ['SERVICES=--now\n', "line 1: SERVICES has '--now', which is no name of a service"],
  ['SERVICES=../x\n', "line 1: SERVICES has '../x', which is no name of a service"],
  ['SERVICES=a*\n', "line 1: SERVICES has 'a*', which is no name of a service"],
  ['SERVICES="a postgresql@"\n', "line 1: SERVICES has 'postgresql@', a template: name its instances"],
  ['SERVICES=a@.service\n', "line 1: SERVICES has 'a@.service', a template: name its instances"],
];
for (const [text, reason] of faults) {
  test(`settings: ${JSON.stringify(text)}`, () =>
    assert.deepEqual(reasons(text), [`'/h/services.conf' ${reason}`]));
}

const cleanReasons = (value: string) =>
  parseSettings('/h/cleanup.conf', `CLEAN='${value}'\n`, cleanup.settings).problems.map(
    ({ reason }) => reason,
  );
const AGED =
  'which is neither apt nor an absolute path with an age behind it, in days or hours: /srv/app/cache:7d';
const PLAIN = "which has to be written without '.', '..', '//' and '/' at its end";
const cleanFaults: [value: string, reason: string][] = [
  ...['/srv/a', 'srv/a:7d', '/srv/a:7', '/srv/a:0d', '/srv/a:7w', '/srv/a:', 'yes', 'apt:7d'].map(
    (word): [string, string] => [word, `has '${word}', ${AGED}`],
  ),
  ...['/srv/../etc', '/srv/./a', '/srv//a', '/srv/a/', '//'].map((path): [string, string] => [
    `${path}:7d`,
    `has '${path}', ${PLAIN}`,
  ]),
  ...['/srv/%h', '/srv/*', '/srv/a?', '/srv/[a]', '/srv/{a,b}', '/srv/"a"', '/srv/$A'].map(
    (path): [string, string] => [
      `${path}:7d`,
      `has '${path}', with a character that means something else in tmpfiles.d(5)`,
    ],
  ),
  ...[
    '/',
    '/etc',
    '/etc/app/cache',
    '/var',
    '/var/lib',
    '/var/lib/mysql',
    '/var/www/app',
    '/home/ann',
    '/usr/a',
    '/var/lib/dpkg/a',
  ].map((path): [string, string] => [`${path}:7d`, `has '${path}', which holds more than temporary files`]),
];
for (const [value, reason] of cleanFaults) {
  test(`CLEAN: ${value}`, () =>
    assert.deepEqual(cleanReasons(`apt ${value}`), [`'/h/cleanup.conf' line 1: CLEAN ${reason}`]));
}

test('CLEAN: what is allowed, and what systemd-tmpfiles gets of it', () => {
  const all = [
    '/tmp',
    '/var/tmp',
    '/var/lib/php/sessions',
    '/home/ann/.cache',
    '/var/www/a/cache',
    '/etcetera',
    '/srv/a:b',
  ];
  assert.deepEqual(cleanReasons(`${all.map(path => `${path}:12h`).join(' ')} apt`), []);
  const lines = (knowsAgeBy: boolean) => tmpfilesLines([{ path: '/srv/a', age: '7d' }], knowsAgeBy);
  assert.equal(lines(true), 'd /srv/a - - - mM:7d\nx /srv/a/systemd-private-*\n');
  assert.equal(lines(false), 'd /srv/a - - - 7d\nx /srv/a/systemd-private-*\n');
});

test('a name of a service is completed as systemctl does', () => {
  const names = ['mysql', 'a.b', 'x.socket', 'postgresql@15-main', 'var-lib.mount'].map(unitName);
  const all = ['mysql.service', 'a.b.service', 'x.socket', 'postgresql@15-main.service', 'var-lib.mount'];
  assert.deepEqual(names, all);
});

const unit = (id: string, dependents: readonly string[] = [], changes: Partial<Unit> = {}): Unit => ({
  id,
  loadState: 'loaded',
  activeState: 'active',
  subState: 'running',
  type: 'simple',
  result: 'success',
  killMode: 'control-group',
  dependents,
  triggers: [],
  ...changes,
});

test('units are read from what systemctl show says, alias resolved', () => {
  const text = `Id=mariadb.service
LoadState=loaded
ActiveState=active
SubState=running
Type=notify
Result=success
KillMode=control-group
RequiredBy=
ConsistsOf=a.service
TriggeredBy=mariadb.socket b\\x2dc.timer

Id=none.service
LoadState=not-found
ActiveState=inactive
`;
  const [first, second] = parseUnits(text);
  const dependents = ['a.service', 'mariadb.socket', 'b\\x2dc.timer'];
  assert.deepEqual(first, unit('mariadb.service', dependents, { type: 'notify' }));
  assert.equal(second?.loadState, 'not-found');
});

test('the closure goes over dependents and triggers, however far and in circles', () => {
  const all = [
    unit('db.service', ['app.service', 'db.socket']),
    unit('app.service', ['web.service', 'app.timer']),
    unit('web.service', ['db.service']),
    unit('db.socket', ['db.service']),
    unit('app.timer'),
    unit('other.service', ['db.service']),
  ];
  // The first by another name.
  const show = (names: readonly string[]) =>
    names.flatMap(name => all.filter(({ id }) => id === (name === 'sql.service' ? 'db.service' : name)));
  const ids = closure(['sql.service'], show).map(({ id }) => id);
  assert.deepEqual(ids.sort(), ['app.service', 'app.timer', 'db.service', 'db.socket', 'web.service']);
});

const states: [string, Partial<Unit>, boolean][] = [
  ['a daemon that runs', {}, true],
  ['one that still starts', { activeState: 'activating', subState: 'start' }, true],
  ['one that waits for its next attempt', { activeState: 'activating', subState: 'auto-restart' }, false],
  ['one that failed', { activeState: 'failed', subState: 'failed', result: 'exit-code' }, false],
  ['one that ended by itself', { activeState: 'inactive', subState: 'dead' }, false],
  ['a oneshot that is done', { activeState: 'inactive', subState: 'dead', type: 'oneshot' }, true],
  ['a oneshot that failed', { activeState: 'failed', type: 'oneshot', result: 'exit-code' }, false],
];
for (const [what, changes, expected] of states) {
  test(`${what} is ${expected ? '' : 'not '}started`, () =>
    assert.equal(isStarted(unit('a.service', [], changes)), expected));
}

test('a unit whose end would be ours is found by the cgroup', () => {
  const units = [unit('backup.service'), unit('cron.service', [], { killMode: 'process' })];
  assert.equal(unitAround('0::/system.slice/backup.service\n', units)?.id, 'backup.service');
  assert.equal(unitAround('0::/system.slice/backup.service/sub\n', units)?.id, 'backup.service');
  assert.equal(
    unitAround('1:name=systemd:/system.slice/backup.service\n0::/\n', units)?.id,
    'backup.service',
  );
  assert.equal(unitAround('0::/system.slice/cron.service\n', units), undefined);
  assert.equal(unitAround('0::/user.slice/session-1.scope\n', units), undefined);
});

test('etcd: what it answers', () => {
  const member =
    '{"ID":1,"name":"vm","peerURLs":["http://localhost:2380"],"clientURLs":["http://localhost:2379"]}';
  assert.deepEqual(membersOf(`{"members":[${member}]}`), [{ name: 'vm', peers: ['http://localhost:2380'] }]);
  for (const text of ['', '{}', '{"members":[{"name":1}]}']) assert.equal(membersOf(text), undefined);
  assert.equal(revisionOf('{"hash":1,"revision":3,"totalKey":6}'), '3');
  assert.equal(endpointRule('127.0.0.1:2379') ?? endpointRule('http://[::1]:2379'), undefined);
  for (const each of ['2379', '-x:1', 'a b:1', 'a:1,b:2'])
    assert.notEqual(endpointRule(each), undefined, each);
});

test('openldap: databases are those with files, whatever the lines are broken and coded like', () => {
  const config = unfold(
    ['dn: olcDatabase={-1}frontend,cn=config', 'olcDatabase: {-1}frontend', ''].join('\n') +
      [
        '\ndn: olcDatabase={1}mdb,cn=config',
        'olcDbDirectory: /var/li',
        ' b/ldap/',
        'olcSuffix:: ZGM9YQ==',
        '',
      ].join('\n') +
      ['\ndn: olcDatabase={2}monitor,cn=config', 'olcSuffix: cn=monitor', '', ''].join('\n'),
  );
  assert.deepEqual(backendsOf(config), [{ number: '1', suffix: 'dc=a', directory: '/var/lib/ldap' }]);
  const moved = withDirectories(config, new Map([['1', '/new']]));
  assert.deepEqual(backendsOf(moved), [{ number: '1', suffix: 'dc=a', directory: '/new' }]);
  assert.equal(moved.replace('/new', '/var/lib/ldap/'), config);
});

test('redis: where the server is', () => {
  const allowed = ['127.0.0.1:6379', 'localhost:1', '[::1]:6379', '/run/redis/redis.sock'];
  assert.deepEqual(allowed.map(addressRule), Array(4).fill(undefined));
  for (const each of ['6379', '-x:1', 'a:b', 'redis.sock', 'a b:1'])
    assert.notEqual(addressRule(each), undefined, each);
  assert.deepEqual(addressArgs('[::1]:6380'), ['-h', '::1', '-p', '6380']);
  assert.deepEqual(addressArgs(), ['-h', '127.0.0.1', '-p', '6379']);
  assert.deepEqual(addressArgs('/s'), ['-s', '/s']);
});

test('redis: which programs', () => {
  const has =
    (...names: string[]) =>
    (name: string) =>
      names.includes(name);
  assert.equal(programsOf({}, has('valkey-server')).cli, 'valkey-cli');
  assert.equal(programsOf({}, has('valkey-server', 'redis-server')).service, 'redis-server');
  assert.equal(programsOf({ SERVICE: 'valkey-server@a' }, has('redis-server')).server, 'valkey-server');
});

test('redis: what it answers', () => {
  assert.equal(keyCounts('# Keyspace\r\ndb0:keys=3,expires=1,avg_ttl=0\r\ndb15:keys=4,expires=0\r\n'), 7);
  assert.equal(pairs('dir\n/var/lib/redis\nsave\n\nappendonly\nno\n').get('appendonly'), 'no');
  const good =
    '[offset 9] \\o/ RDB looks OK! \\o/\n[info] 5 keys read\n[info] 1 expires\n[info] 0 already expired\n';
  assert.deepEqual(rdbSummary(good), { keys: 5, expires: 1 });
  const bad =
    '[offset 0] Checking\n--- RDB ERROR DETECTED ---\n[offset 61] Unexpected EOF\n[info] 5 keys read\n[info] 1 expires\n';
  assert.deepEqual(rdbSummary(bad), { reason: 'Unexpected EOF' });
});

for (const [name, hook] of [
  ['services', services],
  ['snapshot', snapshot],
  ['cleanup', cleanup],
  ['sqlite', sqlite],
  ['redis', redis],
  ['openldap', openldap],
  ['etcd', etcd],
  ['postgresql', postgresql],
  ['mariadb', mariadb],
  ['tklbam-databases', tklbamDatabases],
] as const) {
  test(`${name}.conf has each setting, explained and off, with a value that is allowed`, () => {
    const text = readFileSync(join(repository, `hooks.d/${name}.conf`), 'utf8');
    // Of a server, all that it has is dumped unless something else is said.
    const set = text.includes('\nDATABASES=all\n') ? { DATABASES: 'all' } : {};
    assert.deepEqual(parseSettings('/c', text, hook.settings), { values: set, problems: [] });
    const on = parseSettings('/c', text.replaceAll(/^#(?=[A-Z_]+=)/gm, ''), hook.settings);
    assert.deepEqual(on.problems, []);
    assert.deepEqual(Object.keys(on.values).sort(), Object.keys(hook.settings).sort());
    for (const each of Object.keys(hook.settings))
      assert.match(text, new RegExp(`^# .*\n#?${each}=`, 'm'), `${each} is not explained`);
  });
}
