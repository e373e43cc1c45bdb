// What hooks for databases make of settings, manifests and clusters.
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  dumpProblems,
  isManifest,
  readManifest,
  writeManifest,
} from '../../src/library/database/manifest.ts';
import { isNamed, keepOldMs, matches } from '../../src/library/database/settings.ts';
import { isOlder, untouchable, usersError, usersScript } from '../../src/library/mariadb/text.ts';
import { parseClusters } from '../../src/library/postgresql/clusters.ts';
import { isWanted, parseConf } from '../../src/library/tklbam-databases/limits.ts';
import { scratch } from '../support/scratch.ts';

const names: [pattern: string, name: string, does: boolean][] = [
  ['shop', 'shop', true],
  ['shop', 'Shop', false],
  ['shop', 'shop2', false],
  ['shop*', 'shop2', true],
  ['a?b', 'a b', true],
  ['a?b', 'ab', false],
  ['a.b', 'axb', false],
  ['[a]', '[a]', true],
  ['?', '😀', true],
  ['a*', 'a\nb', true],
];
for (const [pattern, name, does] of names) {
  test(`${pattern} ${does ? 'matches' : 'does not match'} ${JSON.stringify(name)}`, () =>
    assert.equal(matches(pattern, name), does));
}

test('DATABASES has all or what it names, less EXCLUDE', () => {
  const named = (DATABASES: string, EXCLUDE = ''): string[] =>
    ['all', 'shop', 'scratch'].filter(name => isNamed({ DATABASES, EXCLUDE }, { name }));
  assert.deepEqual(named('all', 'scr*'), ['all', 'shop']);
  assert.deepEqual(named('sh* none'), ['shop']);
  assert.deepEqual(named(''), []);
});

test('how long what was replaced is kept', () => {
  const hour = 3_600_000;
  assert.deepEqual(
    [undefined, '0', '12h', '7d', '7', '-1d', 'x'].map(value => keepOldMs(value)),
    [168 * hour, 0, 12 * hour, 168 * hour, undefined, undefined, undefined],
  );
});

test('clusters are read, the newest first', () => {
  const text = `13  main    5432 online                 postgres /var/lib/postgresql/13/main  /var/log/a b.log
15  main    5433 down                   postgres /var/lib/postgresql/15/main  /var/log/c.log
9.6 old     5434 online,recovery        pg       /srv/old                     /var/log/d.log
`;
  const found = parseClusters(text, path => path !== '/etc/postgresql/9.6/old/start.conf');
  assert.deepEqual(
    found.map(({ label, major, isOnline, isAutomatic, owner, directory }) =>
      [label, major, isOnline, isAutomatic, owner, directory].join(' '),
    ),
    [
      '15/main 15 false true postgres /var/lib/postgresql/15/main',
      '13/main 13 true true postgres /var/lib/postgresql/13/main',
      '9.6/old 9 true false pg /srv/old',
    ],
  );
});

const entry = {
  name: 'a',
  file: '0001-a.x',
  size: 2,
  // Of `a` and a newline.
  sha256: '87428fc522803d31065e7bce3cf03fe475096631e5e07bbd7a0fde60c4cf25c7',
  facts: {},
};
const manifest = {
  format: 1,
  kind: 'sqlite',
  made: '',
  server: '',
  generation: 'g',
  entries: [entry],
} as const;

test('dumps that are as the manifest says, and others', t => {
  const directory = scratch(t);
  mkdirSync(join(directory, 'g'));
  const problems = (text: string, depth: 'sizes' | 'sums'): number => {
    writeFileSync(join(directory, 'g/0001-a.x'), text);
    return dumpProblems(directory, manifest, depth).length;
  };
  assert.deepEqual([problems('a\n', 'sums'), problems('b\n', 'sizes'), problems('b\n', 'sums')], [0, 0, 1]);
  assert.equal(problems('', 'sizes'), 1);
});

const damages: [what: string, change: object, isGood: boolean][] = [
  ['as it is', {}, true],
  ['another hook', { kind: 'redis' }, false],
  ['a path out of the directory', { generation: '..' }, false],
  ['a file out of it', { entries: [{ ...entry, file: '../x' }] }, false],
  ['no entries', { entries: [] }, false],
  ['facts that are none', { entries: [{ ...entry, facts: { a: 1 } }] }, false],
  ['a later format', { format: 2 }, false],
];
for (const [what, change, isGood] of damages) {
  test(`a manifest: ${what}`, t => {
    const directory = scratch(t);
    writeManifest(directory, { ...manifest, ...change } as typeof manifest);
    assert.equal(isManifest(readManifest(directory, 'sqlite')), isGood);
  });
}

const limits: [overrides: string[], wanted: string][] = [
  [[], 'a b a/t'],
  [['-mysql:a', '/srv', '-/tmp'], 'b'],
  [['-mysql:a/t'], 'a b'],
  [['mysql:a'], 'a a/t'],
  [['mysql:a/t'], 'a a/t'],
  [['pgsql:a', '-pgsql:b'], 'a b a/t'],
];
for (const [overrides, wanted] of limits) {
  test(`of tklbam's dumps ${JSON.stringify(overrides)} wants ${wanted}`, () => {
    const conf = parseConf(JSON.stringify({ profile_id: 'core', overrides, skip_database: false }));
    assert.ok(conf !== undefined);
    const all: [string, string?][] = [['a'], ['b'], ['a', 't']];
    const found = all.filter(([database, table]) => isWanted(conf, 'mysql', database, table));
    assert.equal(found.map(names => names.join('/')).join(' '), wanted);
  });
}

test('mariadb: a version is older by its first two numbers', () => {
  for (const [one, other] of [
    ['MariaDB 10.5.23-MariaDB', 'MariaDB 10.11.6-MariaDB'],
    ['MariaDB 10.11.6', 'MariaDB 11.4.1'],
  ] as const) {
    assert.equal(isOlder(one, other), true);
    assert.equal(isOlder(other, one), false);
  }
  assert.equal(isOlder('MariaDB 10.11.6-MariaDB', 'MariaDB 10.11.18-MariaDB'), false);
});

test('mariadb: a restore of users leaves alone by whom the machine gets in, and sets all others', () => {
  const there = [
    { user: 'root', host: 'localhost' },
    { user: 'shop', host: '%' },
    { user: 'backup', host: '%' },
    { user: 'backup', host: 'localhost' },
  ];
  const kept = untouchable(there, { user: 'backup', host: '%' });
  assert.deepEqual(kept, [there[0], there[2]]);
  const dump = [
    'CREATE USER IF NOT EXISTS `root`@`localhost` IDENTIFIED VIA unix_socket;',
    "CREATE USER IF NOT EXISTS `root`@`%` IDENTIFIED BY PASSWORD '*1';",
    "CREATE USER IF NOT EXISTS `shop`@`%` IDENTIFIED BY PASSWORD '*2';",
    'CREATE USER IF NOT EXISTS `open`@`%`;',
    "CREATE USER IF NOT EXISTS `b``ackup`@`%` IDENTIFIED BY PASSWORD '*3';",
    "/*M!100005 CREATE ROLE IF NOT EXISTS 'reader' WITH ADMIN mariadb_dump_import_role */;",
    "/*M!100005 GRANT 'reader' TO 'root'@'localhost' WITH ADMIN OPTION */;",
    'GRANT ALL PRIVILEGES ON *.* TO `root`@`localhost` IDENTIFIED VIA unix_socket WITH GRANT OPTION;',
    "GRANT PROXY ON ''@'%' TO 'root'@'localhost' WITH GRANT OPTION;",
    'GRANT SELECT ON `x TO ``root``@``localhost`.* TO `shop`@`%`;',
    "/*M!100005 SET DEFAULT ROLE NONE FOR 'backup'@'%' */;",
    "/*M!100005 SET DEFAULT ROLE NONE FOR 'b\\'ackup'@'%' */;",
  ];
  assert.deepEqual(usersScript(dump.join('\n'), kept).split('\n'), [
    dump[1],
    "ALTER USER `root`@`%` IDENTIFIED BY PASSWORD '*1';",
    dump[2],
    "ALTER USER `shop`@`%` IDENTIFIED BY PASSWORD '*2';",
    dump[3],
    dump[4],
    "ALTER USER `b``ackup`@`%` IDENTIFIED BY PASSWORD '*3';",
    dump[5],
    dump[6],
    dump[9],
    dump[11],
  ]);
});

test('mariadb: rights to what is not there do not fail a restore', () => {
  const lines = [
    '--------------',
    "ERROR 1146 (42S02) at line 3: Table 'a.t' doesn't exist",
    'ERROR 1305 (42000) at line 4: PROCEDURE p does not exist',
  ];
  assert.equal(usersError(lines.join('\n')), undefined);
  const denied = "ERROR 1524 (HY000) at line 5: Plugin 'x' is not loaded";
  assert.equal(usersError([...lines, denied].join('\n')), denied);
});
