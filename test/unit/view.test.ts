// What hooks ask the operation to see: lines, faults, and the order of the mounts.
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { findViewFault, parseView, planView } from '../../src/run/view-plan.ts';
import { recover } from '../../src/session/recovery.ts';
import type { Sight, ViewEntry } from '../../src/types.ts';
import { FAILED, fake, leaveCutOff } from '../support/fake-session.ts';

const about = (line: number): string => `the view that hook 'snap' asks for, line ${line}: `;
const forms = "(it is 'snapshot FSTYPE SOURCE TARGET OPTIONS' or 'live PATH', blanks escaped as in fstab(5))";
const frozen = (path: string, hook = 'snap', line = 1): ViewEntry => ({
  ...{ kind: 'snapshot', fstype: 'ext4', source: '/dev/s', path, options: 'ro', hook, line },
});
const live = (path: string, hook = 'snap', line = 2): ViewEntry => ({ kind: 'live', path, hook, line });

describe('lines', () => {
  test('words are escaped as in fstab(5), and empty lines say nothing', () => {
    const text = 'snapshot btrfs /dev/loop\\0401 /srv/a\\134b ro,subvolid=7\n\n\tlive  /srv/a\\134b/tmp \n';
    assert.deepEqual(parseView('snap', text), [
      {
        kind: 'snapshot',
        fstype: 'btrfs',
        source: '/dev/loop 1',
        path: '/srv/a\\b',
        options: 'ro,subvolid=7',
        hook: 'snap',
        line: 1,
      },
      { kind: 'live', path: '/srv/a\\b/tmp', hook: 'snap', line: 3 },
    ]);
    assert.deepEqual(parseView('snap', ''), []);
    assert.deepEqual(parseView('snap', 'snapshot zfs tank/srv@now / ro'), [
      { ...frozen('/'), fstype: 'zfs', source: 'tank/srv@now' },
    ]);
  });

  const path = "is no absolute path without '.', '..' and needless slashes (write it as realpath(1) does)";
  const wrong: Readonly<Record<string, string>> = {
    'frozen /srv': `it begins with 'frozen' ${forms}`,
    snapshot: `1 words ${forms}`,
    'snapshot ext4 /dev/s /srv': `4 words ${forms}`,
    'snapshot ext4 /dev/s /srv ro extra': `6 words ${forms}`,
    'live /srv/a b': `3 words ${forms}`,
    'snapshot --bind /dev/s /srv ro': `'--bind' is no type of file system ${forms}`,
    'snapshot ext4 -B /srv ro': `'-B' is no device ${forms}`,
    'snapshot ext4 /dev/s /srv -o,ro': `'-o,ro' are no options ${forms}`,
    'snapshot ext4 /dev/s srv ro': `'srv' ${path}`,
    'snapshot ext4 /dev/s /srv/ ro': `'/srv/' ${path}`,
    'snapshot ext4 /dev/s /srv/../etc ro': `'/srv/../etc' ${path}`,
    'live /srv//a': `'/srv//a' ${path}`,
    'live /srv\\012/..': `'/srv\\x0a/..' ${path}`,
    'snapshot ext4 /dev/s /srv nouuid,rw':
      "OPTIONS without ro: what the operation wrote there would be lost (add ro, and a line 'live PATH' for what it writes to)",
    'live /srv/\ufffd': 'it is not UTF-8 (name another directory)',
  };
  for (const [line, fault] of Object.entries(wrong)) {
    test(`refused: ${JSON.stringify(line)}`, () => {
      assert.deepEqual(parseView('snap', `live /a\n${line}\n`), { hook: 'snap', error: about(2) + fault });
    });
  }
});

describe('what lines lack together', () => {
  const fault = (entries: readonly ViewEntry[], sight: Sight = 'any'): string | undefined =>
    findViewFault(entries, sight)?.error;

  test('volumes within each other, and live directories in them, are as they should be', () => {
    assert.equal(
      fault([frozen('/srv'), frozen('/srv/db', 'b'), live('/srv/tmp'), live('/srv/db/x', 'b')]),
      undefined,
    );
    assert.equal(fault([frozen('/'), live('/tmp'), live('/tmp', 'b', 1)]), undefined);
  });

  test('a place has one of them', () => {
    assert.equal(
      fault([frozen('/srv'), frozen('/srv', 'other', 4)]),
      "the view that hook 'other' asks for, line 4: line 1 of hook 'snap' is about '/srv' too (one of the two has to go)",
    );
    assert.equal(
      fault([frozen('/srv'), live('/srv')]),
      `${about(2)}line 1 of hook 'snap' is about '/srv' too (one of the two has to go)`,
    );
  });

  test('what is live anyway is a mistake', () => {
    assert.equal(
      fault([frozen('/srv'), live('/srv2')]),
      `${about(2)}'/srv2' is in no volume that is frozen (it is live without the line)`,
    );
  });

  test('tklbam is not shown the root directory', () => {
    assert.equal(
      fault([frozen('/')], 'below-root'),
      `${about(1)}'/' cannot be shown to tklbam, which makes and removes /TKLBAM there (leave '/' out, or back up by 'tklbam-hooks wrap')`,
    );
    assert.equal(fault([frozen('/srv')], 'below-root'), undefined);
  });
});

describe('order', () => {
  const steps = (entries: readonly ViewEntry[], ...mounts: readonly string[]): string[] =>
    planView(entries, mounts).map(({ kind, path }) => `${kind} ${path}`);

  test('outer before inner, whoever asked first', () => {
    assert.deepEqual(steps([frozen('/srv/a/b'), frozen('/srv'), frozen('/opt/a/b/c')], '/', '/srv', '/opt'), [
      'snapshot /srv',
      'snapshot /srv/a/b',
      'snapshot /opt/a/b/c',
    ]);
  });

  test('what is mounted below passes through, once and as a whole', () => {
    assert.deepEqual(
      steps([frozen('/srv')], '/', '/srv', '/srv/disk/deep', '/srv/disk', '/srvx', '/srv/other', '/srv/disk'),
      ['snapshot /srv', 'live /srv/disk', 'live /srv/other'],
    );
  });

  test('a live directory brings what is mounted in it, and may hold a frozen volume', () => {
    assert.deepEqual(
      steps(
        [frozen('/srv'), live('/srv/a'), frozen('/srv/a/db')],
        '/srv',
        '/srv/a/disk',
        '/srv/a/db',
        '/srv/a/db/x',
      ),
      ['snapshot /srv', 'live /srv/a', 'snapshot /srv/a/db', 'live /srv/a/db/x'],
    );
    assert.deepEqual(steps([frozen('/srv'), live('/srv/disk/a')], '/srv/disk'), [
      'snapshot /srv',
      'live /srv/disk',
    ]);
  });

  test('around the root directory all the rest passes through', () => {
    assert.deepEqual(
      steps(
        [frozen('/'), frozen('/home'), live('/tmp')],
        '/',
        '/proc',
        '/dev',
        '/dev/shm',
        '/home',
        '/home/ann',
      ),
      ['snapshot /', 'live /dev', 'snapshot /home', 'live /proc', 'live /tmp', 'live /home/ann'],
    );
  });
});

describe('in a session', () => {
  const LINE = 'snapshot ext4 /dev/s /srv ro\n';
  const asks = (
    made: ReturnType<typeof fake>,
    name: string,
    text: string,
    end = { kind: 'succeeded' } as const,
  ) =>
    made.ends.set(`${name} pre`, () => {
      writeFileSync(String(made.environments.at(-1)?.TKLBAM_HOOK_VIEW), text);
      return end;
    });

  test('there before the operation, and gone before post', async t => {
    const made = fake(t, 'a', 'b');
    asks(made, 'a', LINE);
    asks(made, 'b', 'live /srv/tmp\n');
    made.inhabitants = ['restic'];
    made.ends.set('b post', () => {
      assert.deepEqual(made.views.slice(1), ['ended /srv', 'closed']);
      return { kind: 'succeeded' };
    });
    const session = made.session();
    const answer = await session.advance('pre', '/', {}, 'any');
    assert.deepEqual([answer.status, answer.view], [0, '/proc/1/fd/3']);
    assert.deepEqual(made.views, [
      [
        {
          kind: 'snapshot',
          fstype: 'ext4',
          source: '/dev/s',
          path: '/srv',
          options: 'ro',
          hook: 'a',
          line: 1,
        },
        { kind: 'live', path: '/srv/tmp', hook: 'b', line: 1 },
      ],
    ]);
    assert.deepEqual(made.records()[0]?.view, [{ device: '0:1', root: '/', path: '/srv' }]);
    assert.equal((await session.advance('post', '/', {})).status, 0);
    assert.deepEqual(made.said, ["tklbam-hooks: ended what the backup had left in its view: 'restic'"]);
    assert.deepEqual(made.files(), []);
    assert.equal(made.environments.at(-1)?.TKLBAM_HOOK_VIEW, undefined);
  });

  test('gone before error', async t => {
    const made = fake(t, 'a');
    asks(made, 'a', LINE);
    made.ends.set('a error', () => {
      assert.deepEqual(made.views.slice(1), ['ended /srv', 'closed']);
      return { kind: 'succeeded' };
    });
    const session = made.session();
    await session.advance('pre', '/', {}, 'any');
    await session.fail('restic failed');
    assert.deepEqual(made.told, ['a pre', 'a error']);
  });

  test('who lives in the view of a guardian that was killed is ended before error', async t => {
    const made = fake(t, 'a');
    const view = [{ device: '0:1', root: '/', path: '/srv' }];
    made.ends.set('a error', () => {
      assert.deepEqual(made.views, ['ended /srv']);
      return { kind: 'succeeded' };
    });
    await leaveCutOff(made, record => ({ ...record, view }));
    await recover(made.statePaths, ['backup'], {}, made.deps);
    assert.deepEqual(made.told, ['a error']);
    // After a boot the same numbers are those of others.
    made.views.length = 0;
    made.ends.clear();
    await leaveCutOff(made, record => ({
      ...record,
      view,
      guardian: { ...record.guardian, boot: 'earlier' },
    }));
    await recover(made.statePaths, ['backup'], {}, made.deps);
    assert.deepEqual(made.views, []);
  });

  test('one that cannot be made, or understood, fails pre', async t => {
    for (const text of [LINE, 'nonsense\n']) {
      const made = fake(t, 'a', 'b');
      asks(made, 'a', text);
      made.viewFault = { hook: 'a', error: 'no such device' };
      const answer = await made.session().advance('pre', '/', {}, 'any');
      assert.deepEqual([answer.status, answer.view], [1, undefined]);
      const error =
        text === LINE
          ? 'no such device'
          : `the view that hook 'a' asks for, line 1: it begins with 'nonsense' ${forms}`;
      assert.deepEqual(made.said, [`HookError: ${error}`]);
      assert.deepEqual(made.told, ['a pre', 'b pre', 'b error', 'a error']);
      assert.deepEqual(
        [made.environments.at(-1)?.TKLBAM_HOOK_ERROR, made.environments.at(-1)?.TKLBAM_HOOK_FAILED],
        [error, 'a'],
      );
    }
  });

  test('what a failed hook wrote, or one that was killed before, does not count', async t => {
    const made = fake(t, 'a');
    asks(made, 'a', LINE);
    made.ends.set('a pre', () => {
      writeFileSync(String(made.environments.at(-1)?.TKLBAM_HOOK_VIEW), LINE);
      return FAILED;
    });
    await made.session().advance('pre', '/', {}, 'any');
    assert.deepEqual([made.views, made.files()], [[], []]);
    mkdirSync(join(made.statePaths.stateDirectory, 'sessions'), { recursive: true });
    writeFileSync(join(made.statePaths.stateDirectory, 'sessions/backup.view'), LINE);
    made.ends.clear();
    const session = made.session();
    assert.equal((await session.advance('pre', '/', {}, 'any')).view, undefined);
    await session.advance('post', '/', {});
    assert.deepEqual([made.views, made.files()], [[], []]);
  });

  test('nobody is asked where nobody would look: a caller that does not say so, and a restore', async t => {
    for (const [operation, sight] of [
      ['backup', 'none'],
      ['restore', 'any'],
    ] as const) {
      const made = fake(t, 'a');
      const session = made.session(operation);
      await session.advance('pre', '/', { TKLBAM_HOOK_VIEW: '/tmp/other' }, sight);
      assert.equal(made.environments[0]?.TKLBAM_HOOK_VIEW, undefined);
      await session.advance('post', '/', {});
    }
  });
});
