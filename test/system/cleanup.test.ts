// The hook `cleanup` in the three releases, whose systemd-tmpfiles differ; also against a user who swaps directories for links.
import assert from 'node:assert/strict';
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { executable } from '../support/built.ts';
import { openChroot, SOURCE } from '../support/chroot.ts';
import { RELEASES } from '../support/releases.ts';
import { assertSaid, textsOf } from '../support/transcript.ts';

const SHOWN = '/srv/app/cache (older than 1h)';
const MISSING = "cleanup: there is no directory '/srv/none', nothing to clean there";
const ALL = './link ./old ./sub ./sub/old ./systemd-private-1-x ./systemd-private-1-x/old';
const DENIED = `cleanup: could not clean all of ${SHOWN}: Failed to remove "/srv/app/cache/theirs/root", ignoring: Permission denied`;
const NO_APT = [
  "cleanup: apt-get is not installed, not cleaned (take 'apt' out of CLEAN)",
  'cleanup: apt-get clean: apt-get is not installed',
];

for (const suite of RELEASES) {
  test(`cleanup in ${suite}`, async t => {
    const { root, run } = openChroot(t, suite, ['systemd', 'procps', 'python3']);
    copyFileSync(executable(), join(root, 'usr/bin/tklbam-hooks'));
    const { stdout, stderr } = run(['bash', `${SOURCE}/test/vm/cleanup`, SOURCE]);
    const transcript = [...stdout.split('\n'), ...stderr.split('\n')];
    const says = (expected: Readonly<Record<string, readonly string[]>>): void =>
      assertSaid(transcript, expected);

    await t.test('without CLEAN it does nothing; check names a directory that is not there', () =>
      says({
        off: ['0'],
        check: ["'/etc/tklbam/hooks.d/cleanup': there is no directory '/srv/none' (correct CLEAN)"],
      }),
    );
    await t.test('simulated, it says what it would do, and does nothing', () => {
      // Since systemd 256.
      const would =
        suite === 'trixie'
          ? [`cleanup: would clean ${SHOWN}: this would be removed`]
          : [`cleanup: would clean ${SHOWN}`];
      const files =
        suite === 'trixie' ? ['old', 'sub/old'].map(each => `cleanup:   "/srv/app/cache/${each}"`) : [];
      assert.deepEqual(
        textsOf(transcript, 'simulated').toSorted(),
        [
          '0',
          MISSING,
          ...would,
          ...files,
          "cleanup: would remove the packages that apt has fetched ('apt-get clean')",
        ].toSorted(),
      );
      says({ 'simulated-left': [ALL], 'simulated-apt': ['lock', 'partial', 'x_1_all.deb'] });
    });
    await t.test('it works before a backup alone', () => says({ others: ['0', '0', '0', '0', '0'] }));
    await t.test('what is old goes, and what links lead to, or is of private directories, stays', () => {
      const all = [
        '0',
        MISSING,
        `cleanup: cleaned ${SHOWN}`,
        'cleanup: removed the packages that apt had fetched',
      ];
      says({
        cleaned: all,
        again: all,
        'cleaned-apt': ['lock', 'partial'],
        'cleaned-other': [ALL],
        outside: ['x'],
      });
      const isKept = (name: string): boolean =>
        textsOf(transcript, 'cleaned-left').join(' ').split(' ').includes(name);
      assert.deepEqual(
        ['./old', './sub/old', './systemd-private-1-x/old'].map(isKept),
        [false, false, true],
        stdout,
      );
    });
    await t.test('below a directory of a user, it is done with no more than their rights, and told', () => {
      says({
        'as-ann': ['1', DENIED],
        'as-ann-wrap': [
          DENIED,
          "tklbam-hooks: '/etc/tklbam/hooks.d/cleanup backup pre' non-zero exitcode (1), ignoring it as it asks (failure=warn)",
          'backed up',
        ],
      });
      const [left = ''] = textsOf(transcript, 'as-ann-left');
      assert.ok(left.includes('./theirs/root') && !left.includes('./mine'), left);
    });
    await t.test('what could be another directory is not cleaned', () =>
      says({
        shared: [
          '1',
          "cleanup: '/srv/app/cache' could be swapped for another directory: '/srv/app' is writable by its group, not cleaned (chmod go-w '/srv/app')",
        ],
        links: [
          '1',
          "cleanup: '/srv/root/etc' is '/etc', which holds more than temporary files, not cleaned (correct CLEAN)",
          "cleanup: '/srv/link' is a link, not cleaned (name in CLEAN what it leads to)",
        ],
        'links-etc': ['/etc/passwd'],
      }),
    );
    await t.test('a program that is missing is named, with its package', () =>
      says({
        'no-apt': ['1', NO_APT[0] ?? '', DENIED, NO_APT[1] ?? ''],
        'no-systemd': ['1', 'cleanup: systemd-tmpfiles is not installed, not cleaned (apt install systemd)'],
      }),
    );
    await t.test('directories that are swapped for links meanwhile: nothing is lost outside', () => {
      const race = (label: string): number[][] =>
        textsOf(transcript, label).map(line => line.split(' ').slice(1).map(Number));
      // Others lose files there: the race is real.
      assert.ok((race('race-rm')[0]?.[0] ?? 0) > 0, stdout);
      assert.ok((race('race-root')[2]?.[0] ?? 0) > 0, stdout);
      const [below = [], itself = [], above = []] = race('race');
      assert.deepEqual(
        [below.slice(0, 2), itself.slice(0, 2), above.slice(0, 2)],
        [
          [0, 300],
          [0, 30],
          [0, 30],
        ],
        stdout,
      );
      for (const [, , cleaned] of [below, itself, above]) assert.ok((cleaned ?? 0) > 0, stdout);
    });
  });
}
