// Settings of ready hooks, and what `services` makes of what systemd says.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
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

for (const [name, hook] of [
  ['services', services],
  ['snapshot', snapshot],
] as const) {
  test(`${name}.conf has each setting, explained and off, with a value that is allowed`, () => {
    const text = readFileSync(join(repository, `hooks.d/${name}.conf`), 'utf8');
    assert.deepEqual(parseSettings('/c', text, hook.settings), { values: {}, problems: [] });
    const on = parseSettings('/c', text.replaceAll(/^#(?=[A-Z_]+=)/gm, ''), hook.settings);
    assert.deepEqual(on.problems, []);
    assert.deepEqual(Object.keys(on.values).sort(), Object.keys(hook.settings).sort());
    for (const each of Object.keys(hook.settings))
      assert.match(text, new RegExp(`^# .*\n#${each}=`, 'm'), `${each} is not explained`);
  });
}
