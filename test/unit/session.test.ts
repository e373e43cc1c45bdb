// A session's states, driven through its seam: real locks, records and logs, and a runner that does what the test says.
import assert from 'node:assert/strict';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, mock, test } from 'node:test';
import { OPERATIONS } from '../../src/cli/grammar.ts';
import type { SessionDeps } from '../../src/session/deps.ts';
import { lock } from '../../src/session/flock.ts';
import { forget, recover, unfinished } from '../../src/session/recovery.ts';
import { load, save } from '../../src/session/session-file.ts';
import type { Outcome } from '../../src/types.ts';
import { DIRECTORY, FAILED, type Fake, fake, leaveCutOff, NOT_STARTED } from '../support/fake-session.ts';

const states = (state: string, names: string): string[] => [...names].map(name => `${name} ${state}`);
const path = (name: string): string => `${DIRECTORY}/${name}`;
/** The effects of a process that is gone by now. */
const killed = ({ deps }: Fake): SessionDeps => ({ ...deps, self: { ...deps.self, start: 1 } });
const recoverAll = (made: Fake) => recover(made.statePaths, ['backup', 'restore'], {}, made.deps);
const owed = (made: Fake): unknown =>
  made
    .records()
    .map(({ isOver, started }) => [isOver, started.map(({ attempts, isSettled }) => [attempts, isSettled])]);
const bug = (): Error => new TypeError('a bug\nof ours');

describe('states', () => {
  test('pre, inspect, post: the record is there from the first hook to the last', async t => {
    const made = fake(t, 'a', 'b');
    const seen: unknown[] = [];
    const look = (): Outcome => {
      const [record] = made.records();
      seen.push([record?.state, record?.started.map(each => each.path)]);
      return { kind: 'succeeded' };
    };
    for (const key of ['a pre', 'b pre', 'b inspect', 'a post']) made.ends.set(key, look);
    const session = made.session();
    assert.deepEqual(
      ['pre', 'inspect', 'post'].map(each => session.canFollow(each as 'pre')),
      [true, false, false],
    );
    assert.equal((await session.advance('pre', '/', {})).status, 0);
    session.runs('restic');
    assert.equal(made.records()[0]?.command, 'restic');
    assert.deepEqual(
      ['pre', 'inspect', 'post'].map(each => session.canFollow(each as 'pre')),
      [false, true, true],
    );
    const answer = await session.advance('inspect', '/', {});
    assert.deepEqual(
      answer.results.map(({ outcome }) => outcome.kind),
      ['succeeded', 'succeeded'],
    );
    assert.equal(made.records()[0]?.command, null);
    assert.equal((await session.advance('post', '/', {})).status, 0);
    assert.equal(session.isOver(), true);
    assert.equal(session.canFollow('post'), false);
    assert.deepEqual(made.told, [
      ...states('pre', 'ab'),
      ...states('inspect', 'ab'),
      ...states('post', 'ba'),
    ]);
    assert.deepEqual(seen, [
      ['pre', [path('a')]],
      ['pre', [path('a'), path('b')]],
      ['inspect', [path('a'), path('b')]],
      ['post', [path('a'), path('b')]],
    ]);
    assert.deepEqual([made.files(), made.outcomes(), made.said], [[], ['succeeded'], []]);
  });

  test('the record has all that is needed to finish it', async t => {
    const made = fake(t, 'a');
    const session = made.session();
    await session.advance('pre', '/', { TKLBAM_HOOK_SIMULATE: 'yes', SECRET: 'hunter2' });
    const [record] = made.records();
    assert.deepEqual(
      [
        record?.keyrings,
        record?.timeoutMs,
        record?.sources,
        record?.carriedEnv,
        record?.guardian,
        record?.caller,
      ],
      [
        ['/keys/a.gpg'],
        60_000,
        [{ kind: 'local', directory: DIRECTORY }],
        { TKLBAM_HOOK_SIMULATE: 'yes' },
        made.deps.self,
        made.deps.caller,
      ],
    );
    assert.equal(made.records()[0]?.isOver, false);
    await session.advance('post', '/', {});
  });

  for (const [stage, before] of [
    ['pre', []],
    ['inspect', ['pre']],
    ['post', ['pre', 'inspect']],
  ] as const) {
    test(`a hook that fails in ${stage}: error, in reverse order, with what went wrong`, async t => {
      const made = fake(t, 'a', 'b', 'c');
      made.ends.set(`b ${stage}`, FAILED);
      const session = made.session();
      for (const each of before) assert.equal((await session.advance(each, '/', {})).status, 0);
      const { status, error, results } = await session.advance(stage, '/', {});
      const rest = stage === 'post' ? '' : ', the hooks after it were not run';
      const text = `\`${path('b')} backup ${stage}\` non-zero exitcode (3)${rest}`;
      assert.deepEqual([status, error, results.length], [1, text, stage === 'post' ? 3 : 2]);
      const told = made.told.filter(each => each.endsWith('error'));
      assert.deepEqual(told, states('error', stage === 'pre' ? 'ba' : 'cba'));
      const env = made.environments.at(-1);
      assert.deepEqual([env?.TKLBAM_HOOK_ERROR, env?.TKLBAM_HOOK_FAILED], [text, 'b']);
      assert.deepEqual([session.isOver(), made.files(), made.outcomes()], [true, [], ['failed']]);
      const last = made.logged().at(-1);
      assert.equal(last?.type === 'session' && last.error, text);
    });
  }

  test('a hook of error that is ended by SIGTERM, as by a stop of our unit, is told once more, before the others', async t => {
    const terminated: Outcome = { kind: 'killed', signal: 'SIGTERM' };
    const made = fake(t, 'a', 'b');
    made.ends.set('b pre', FAILED);
    const isAgain = (): boolean => made.told.filter(each => each === 'b error').length > 1;
    made.ends.set('b error', () => (isAgain() ? { kind: 'succeeded' } : terminated));
    await made.session().advance('pre', '/', {});
    assert.deepEqual(made.told, [...states('pre', 'ab'), ...states('error', 'bba')]);
    assert.deepEqual(
      [made.files(), made.said],
      [[], [`tklbam-hooks: '${path('b')} backup error' killed by signal SIGTERM, it is told again at once`]],
    );

    made.told.length = 0;
    made.ends.set('b error', terminated);
    await made.session().advance('pre', '/', {});
    assert.deepEqual(made.told, [...states('pre', 'ab'), ...states('error', 'bba')]);
    assert.deepEqual(owed(made), [
      [
        true,
        [
          [0, true],
          [1, false],
        ],
      ],
    ]);
    made.isGoingDown = true;
    made.told.length = 0;
    await recoverAll(made);
    assert.deepEqual(made.told, ['b error']);
  });

  test('hooks of post that run after a failure are told of it', async t => {
    const made = fake(t, 'a', 'b', 'c');
    made.ends.set('b post', FAILED);
    const session = made.session();
    await session.advance('pre', '/', {});
    await session.advance('post', '/', {});
    assert.deepEqual(
      made.environments.slice(3, 6).map(({ TKLBAM_HOOK_FAILED }) => TKLBAM_HOOK_FAILED),
      [undefined, undefined, 'b'],
    );
  });

  test('a state out of order is a bug of the caller, and no end', async t => {
    const made = fake(t, 'a');
    const session = made.session();
    await session.advance('pre', '/', {});
    await session.advance('post', '/', {});
    await assert.rejects(session.advance('post', '/', {}), /post of a session that is over/);
  });

  test('fail before the first state or after the last is nothing', async t => {
    const made = fake(t, 'a');
    const session = made.session();
    await session.fail('too early');
    assert.deepEqual([made.said, made.files(), session.isOver()], [[], [], false]);
    await session.advance('pre', '/', {});
    await session.advance('post', '/', {});
    await session.fail('too late');
    assert.deepEqual([made.told, made.said], [['a pre', 'a post'], []]);
  });

  test('fail in between tells error, with what is known besides', async t => {
    const made = fake(t, 'a');
    const session = made.session();
    await session.advance('pre', '/', {});
    await session.fail("'restic' exited with status 7", { TKLBAM_HOOK_STATUS: '7' });
    assert.deepEqual(made.told, ['a pre', 'a error']);
    const env = made.environments.at(-1);
    assert.deepEqual(
      [env?.TKLBAM_HOOK_ERROR, env?.TKLBAM_HOOK_STATUS],
      ["'restic' exited with status 7", '7'],
    );
    assert.deepEqual(made.said, ["tklbam-hooks: 'restic' exited with status 7"]);
  });

  test('75 in pre puts the operation off: its own status and outcome', async t => {
    const made = fake(t, 'a', 'b');
    made.ends.set('b pre', { kind: 'failed', status: 75 });
    assert.equal((await made.session().advance('pre', '/', {})).status, 75);
    assert.deepEqual(
      [made.told, made.outcomes()],
      [[...states('pre', 'ab'), ...states('error', 'ba')], ['put-off']],
    );
  });

  test('a refused hook: nobody is started or told, but those that want to hear of every failure', async t => {
    const made = fake(t, 'a');
    made.hooks = [
      { name: 'a' },
      { name: 'b', verdict: { kind: 'refuse', refusal: { kind: 'set-id' } } },
      { name: 'c', always: true },
    ];
    assert.equal((await made.session().advance('pre', '/', {})).status, 3);
    assert.deepEqual([made.told, made.outcomes(), made.files()], [['c error'], ['turned-away'], []]);
    assert.match(String(made.environments[0]?.TKLBAM_HOOK_ERROR), /^`\/hooks\.d\/b backup pre` refused: /);
  });

  test('a hook that could not be started is owed nothing', async t => {
    const made = fake(t, 'a', 'b');
    made.ends.set('b pre', NOT_STARTED);
    await made.session().advance('pre', '/', {});
    assert.deepEqual(made.told, [...states('pre', 'ab'), 'a error']);
  });

  test('one that was started before and could not be started in post is told', async t => {
    const made = fake(t, 'a', 'b');
    made.ends.set('b post', NOT_STARTED);
    const session = made.session();
    await session.advance('pre', '/', {});
    await session.advance('post', '/', {});
    assert.deepEqual(made.told.slice(2), [...states('post', 'ba'), ...states('error', 'ba')]);
  });

  test('a hook that is gone in post is a failure, and stays owed', async t => {
    const made = fake(t, 'a', 'b');
    const session = made.session();
    await session.advance('pre', '/', {});
    made.hooks = [{ name: 'a' }, { name: 'b', verdict: { kind: 'skip', why: 'disabled' } }];
    const { status, error } = await session.advance('post', '/', {});
    assert.equal(status, 1);
    assert.match(String(error), /^`\/hooks\.d\/b backup post` could not be started: it is not executable/);
    assert.deepEqual(owed(made), [
      [
        true,
        [
          [0, true],
          [0, false],
        ],
      ],
    ]);
    assert.equal(made.outcomes().at(-1), 'failed');
  });

  test('a hook whose name breaks the line, and its debt', async t => {
    const made = fake(t, 'a\nb');
    for (const state of ['pre', 'error']) made.ends.set(`a\nb ${state}`, FAILED);
    await made.session().advance('pre', '/', {});
    assert.equal(load(made.statePaths.stateDirectory, 'backup', made.deps.uid).kind, 'sessions');
    assert.equal((await recoverAll(made)).owes, true);
    assert.deepEqual(made.told, ['a\nb pre', 'a\nb error', 'a\nb error']);
  });

  test('fifty sessions, and nothing is left open', async t => {
    const made = fake(t, 'a', 'b', 'c');
    const fds = (): number => readdirSync('/proc/self/fd').length;
    const before = fds();
    const since = performance.now();
    for (let count = 0; count < 50; count++) {
      const session = made.session();
      await session.advance('pre', '/', {});
      if (count % 2 === 0) await session.advance('post', '/', {});
      else await session.fail('enough');
    }
    t.diagnostic(`${Math.round(performance.now() - since)} ms`);
    assert.deepEqual([made.told.length, made.outcomes().length, made.files()], [50 * 6, 50, []]);
    assert.equal(fds(), before);
  });
});

describe('whatever throws', () => {
  /** The session is over, its lock is free, and it has left a line. */
  const assertClosed = (made: Fake, outcome: string): void => {
    const free = lock(made.statePaths.stateDirectory, 'backup', 'recovery', 0);
    assert.notEqual(free, undefined, 'the lock is free');
    free?.close();
    assert.deepEqual(made.outcomes(), [outcome]);
  };

  for (const stage of ['inspect', 'post'] as const) {
    test(`a listing that throws in ${stage}: error is told, and the exception goes on`, async t => {
      const made = fake(t, 'a', 'b');
      const session = made.session();
      await session.advance('pre', '/', {});
      let throws = 1;
      made.listingError = () => (throws-- > 0 ? bug() : undefined);
      await assert.rejects(session.advance(stage, '/', {}), /a bug/);
      assert.deepEqual(made.told, [...states('pre', 'ab'), ...states('error', 'ba')]);
      assert.equal(
        made.environments.at(-1)?.TKLBAM_HOOK_ERROR,
        'tklbam-hooks itself failed: a bug\\x0aof ours',
      );
      assert.deepEqual([session.isOver(), made.files()], [true, []]);
      assertClosed(made, 'failed');
    });
  }

  test('a listing that throws each time: what is owed stays, and can be told later', async t => {
    const made = fake(t, 'a', 'b');
    const session = made.session();
    await session.advance('pre', '/', {});
    let count = 0;
    made.listingError = () => new TypeError(`bug ${++count}`);
    await assert.rejects(session.advance('post', '/', {}), /bug 1/);
    assert.equal(session.isOver(), true);
    assertClosed(made, 'failed');
    assert.deepEqual(owed(made), [
      [
        true,
        [
          [0, false],
          [0, false],
        ],
      ],
    ]);
    made.listingError = undefined;
    assert.equal((await recoverAll(made)).owes, false);
    assert.deepEqual([made.told.slice(2), made.files()], [states('error', 'ba'), []]);
  });

  test('in the first state, before there is any hook', async t => {
    const made = fake(t, 'a');
    made.listingError = bug;
    const session = made.session();
    await assert.rejects(session.advance('pre', '/', {}), /a bug/);
    assert.deepEqual([session.isOver(), made.told, made.files()], [true, [], []]);
    assertClosed(made, 'turned-away');
  });

  test('in the recovery that precedes it', async t => {
    const made = fake(t, 'a');
    await leaveCutOff(made);
    const before = made.outcomes().length;
    made.listingError = bug;
    const session = made.session('backup', killed(made));
    await assert.rejects(session.advance('pre', '/', {}), /a bug/);
    assert.equal(session.isOver(), true);
    assert.deepEqual(made.outcomes().slice(before), ['turned-away']);
    assert.deepEqual(
      made.records().map(({ started }) => started.length),
      [1],
      'what is owed is still there',
    );
    made.listingError = undefined;
    await recoverAll(made);
    assert.deepEqual([made.told, made.files()], [['a error'], []]);
  });

  test('a hook that ends by an exception of ours', async t => {
    const made = fake(t, 'a', 'b');
    made.ends.set('b pre', () => {
      throw bug();
    });
    await assert.rejects(made.session().advance('pre', '/', {}), /a bug/);
    assert.deepEqual([made.told, made.files()], [[...states('pre', 'ab'), ...states('error', 'ba')], []]);
    assertClosed(made, 'failed');
  });

  test('the end of a session that fails', async t => {
    const made = fake(t, 'a');
    const session = made.session();
    await session.advance('pre', '/', {});
    made.listingError = bug;
    await assert.rejects(session.fail("'restic' exited with status 7"), /a bug/);
    assert.deepEqual([session.isOver(), owed(made)], [true, [[true, [[0, false]]]]]);
    assertClosed(made, 'failed');
  });
});

describe('turned away, with a line in the log', () => {
  test('no room for the record', async t => {
    const made = fake(t, 'a');
    writeFileSync(made.statePaths.stateDirectory, '');
    const { status, error } = await made.session().advance('pre', '/', {});
    assert.equal(status, 1);
    assert.match(
      String(error),
      /^cannot record the session in '.*': not a directory \(ENOTDIR\), no hook was run$/,
    );
    assert.deepEqual([made.told, made.outcomes(), made.said], [[], ['turned-away'], [`HookError: ${error}`]]);
  });

  test('a state directory that others could write', async t => {
    const made = fake(t, 'a');
    mkdirSync(made.statePaths.stateDirectory);
    chmodSync(made.statePaths.stateDirectory, 0o777);
    const { error } = await made.session().advance('pre', '/', {});
    assert.match(String(error), /writable by everybody/);
    assert.deepEqual([made.told, made.outcomes()], [[], ['turned-away']]);
  });

  for (const operation of OPERATIONS) {
    test(`a backup runs: no ${operation} begins in the middle of it`, async t => {
      const made = fake(t, 'a');
      const first = made.session();
      await first.advance('pre', '/', {});
      const second = made.session(operation);
      const { status, error } = await second.advance('pre', '/', {});
      assert.equal(status, 75);
      assert.match(
        String(error),
        new RegExp(
          `^another session is running: the backup 'restic', pid ${process.pid}, .*; no hook was run$`,
        ),
      );
      assert.deepEqual([second.isOver(), made.outcomes()], [true, ['turned-away']]);
      assert.equal((await first.advance('post', '/', {})).status, 0);
      assert.deepEqual(made.told, ['a pre', 'a post']);
      assert.equal((await made.session(operation).advance('pre', '/', {})).status, 0);
    });
  }

  test('it is waited for as long as was asked for', async t => {
    const made = fake(t, 'a');
    const first = made.session('restore');
    await first.advance('pre', '/', {});
    const said: string[] = [];
    const tell = (line: string): void => {
      said.push(line);
      first.advance('post', '/', {});
    };
    const second = made.session('backup', { ...made.deps, tell }, { waitMs: Number.POSITIVE_INFINITY });
    assert.equal((await second.advance('pre', '/', {})).status, 0);
    assert.match(
      said.join(),
      /^tklbam-hooks: waiting for another session: the restore 'restic', pid \d+, [^\n]*$/,
    );
    assert.deepEqual(made.told, ['a pre', 'a post', 'a pre']);
    const third = made.session('restore', made.deps, { waitMs: 10 });
    assert.equal((await third.advance('pre', '/', {})).status, 75);
    await second.advance('post', '/', {});
  });

  test('one that has a lock and no record yet', async t => {
    for (const operation of OPERATIONS) {
      const made = fake(t, 'a');
      const other = lock(made.statePaths.stateDirectory, operation, 'session', 0);
      const { status, error } = await made.session().advance('pre', '/', {});
      assert.equal(error, 'another session is just beginning or ending, no hook was run (try again)');
      assert.equal(status, 75);
      other?.close();
      assert.deepEqual(made.files(), []);
    }
  });

  test('what is owed is not told in the middle of a session, and stays owed', async t => {
    const made = fake(t, 'a', 'b');
    made.ends.set('b error', FAILED);
    made.ends.set('b pre', FAILED);
    await made.session('restore').advance('pre', '/', {});
    made.hooks = [{ name: 'a' }];
    const running = made.session();
    await running.advance('pre', '/', {});
    const before = [...made.told];
    assert.equal((await recover(made.statePaths, OPERATIONS, {}, made.deps)).owes, true);
    assert.deepEqual(made.told, before);
    await running.advance('post', '/', {});
  });

  test('hooks that want to hear of every failure hear of it', async t => {
    const made = fake(t);
    made.hooks = [{ name: 'a' }, { name: 'b', always: true }];
    made.ends.set('b error', FAILED);
    writeFileSync(made.statePaths.stateDirectory, '');
    await made.session().advance('pre', '/', {});
    assert.deepEqual(made.told, ['b error']);
    assert.match(String(made.environments[0]?.TKLBAM_HOOK_ERROR), /^cannot record the session/);
    assert.equal(made.said[1], `tklbam-hooks: '${path('b')} backup error' non-zero exitcode (3), going on`);
  });

  test('a start that cannot be recorded is vetoed, and the hooks before it are told', async t => {
    const made = fake(t, 'a', 'b', 'c');
    const sessions = join(made.statePaths.stateDirectory, 'sessions');
    made.ends.set('b pre', () => {
      renameSync(sessions, `${sessions}.away`);
      return { kind: 'succeeded' };
    });
    made.ends.set('b error', () => {
      renameSync(`${sessions}.away`, sessions);
      return { kind: 'succeeded' };
    });
    const { status, error, results } = await made.session().advance('pre', '/', {});
    assert.equal(status, 1);
    assert.match(
      String(error),
      /^`\/hooks\.d\/c backup pre` could not be started: that it starts cannot be recorded: /,
    );
    assert.deepEqual(
      results.map(({ outcome }) => outcome.kind),
      ['succeeded', 'succeeded', 'not-started'],
    );
    assert.deepEqual(made.told, [...states('pre', 'ab'), ...states('error', 'ba')]);
    assert.deepEqual([made.files(), made.outcomes()], [[], ['failed']]);
  });

  test('in post a hook starts all the same', async t => {
    const made = fake(t, 'a', 'b');
    const session = made.session();
    await session.advance('pre', '/', {});
    rmSync(join(made.statePaths.stateDirectory), { recursive: true });
    made.hooks = [{ name: 'a' }, { name: 'b' }, { name: 'c' }];
    await session.advance('post', '/', {});
    assert.deepEqual(made.told.slice(2), states('post', 'cba'));
  });
});

describe('interrupted', () => {
  test('before the first hook: none is started', async t => {
    const made = fake(t, 'a');
    made.interruption = 'interrupted by signal SIGTERM';
    const { status, error } = await made.session().advance('pre', '/', {});
    assert.deepEqual([status, error], [1, 'interrupted by signal SIGTERM, no hook was run']);
    assert.deepEqual([made.told, made.outcomes(), made.files()], [[], ['turned-away'], []]);
  });

  test('in the recovery that precedes: that comes to its end, and no hook of pre is started', async t => {
    const made = fake(t, 'a', 'b');
    await leaveCutOff(made);
    made.ends.set('b error', () => {
      made.interruption = 'interrupted by signal SIGTERM';
      return { kind: 'succeeded' };
    });
    const { status, error } = await made.session().advance('pre', '/', {});
    assert.deepEqual([status, error], [1, 'interrupted by signal SIGTERM, no hook was run']);
    assert.deepEqual([made.told, made.files()], [states('error', 'ba'), []]);
  });

  test('in a hook', async t => {
    const made = fake(t, 'a', 'b', 'c');
    made.ends.set('b pre', { kind: 'interrupted', signal: 'SIGTERM' });
    const { status } = await made.session().advance('pre', '/', {});
    assert.equal(status, 143);
    assert.deepEqual(
      [made.told, made.outcomes()],
      [[...states('pre', 'ab'), ...states('error', 'ba')], ['failed']],
    );
  });

  for (const stage of ['inspect', 'post'] as const) {
    test(`between the hooks of pre and ${stage}`, async t => {
      const made = fake(t, 'a');
      const session = made.session();
      await session.advance('pre', '/', {});
      made.interruption = 'interrupted by signal SIGTERM';
      const { status, error } = await session.advance(stage, '/', {});
      assert.deepEqual([status, error], [1, 'interrupted by signal SIGTERM']);
      assert.deepEqual([made.told, made.outcomes()], [['a pre', 'a error'], ['failed']]);
    });
  }

  test('after the last hook of a state, before its answer', async t => {
    const made = fake(t, 'a');
    made.ends.set('a pre', () => {
      made.interruption = 'interrupted by signal SIGTERM';
      return { kind: 'succeeded' };
    });
    const { status, error } = await made.session().advance('pre', '/', {});
    assert.deepEqual([status, error, made.told], [1, 'interrupted by signal SIGTERM', ['a pre', 'a error']]);
  });

  test('by the end of the caller, which a failure of a hook does not hide', async t => {
    const made = fake(t, 'a');
    made.ends.set('a post', () => {
      made.callerEnd = "the caller, 'tklbam' (pid 9), ended before post";
      return FAILED;
    });
    const session = made.session();
    await session.advance('pre', '/', {});
    const { error } = await session.advance('post', '/', {});
    assert.equal(error, "the caller, 'tklbam' (pid 9), ended before post");
    assert.deepEqual(made.told, ['a pre', 'a post', 'a error']);
  });
});

describe('debts', () => {
  /** A session whose hook a has failed in error, so many times in all. */
  const indebted = async (made: Fake, times = 1): Promise<void> => {
    made.ends.set('a error', FAILED);
    const session = made.session();
    await session.advance('pre', '/', {});
    await session.fail('enough');
    for (let count = 1; count < times; count++) await recoverAll(made);
    for (const each of [made.told, made.said]) each.length = 0;
  };

  test('are told again by recover until they are paid', async t => {
    const made = fake(t, 'a', 'b');
    await indebted(made);
    assert.deepEqual(owed(made), [
      [
        true,
        [
          [1, false],
          [0, true],
        ],
      ],
    ]);
    made.ends.delete('a error');
    assert.deepEqual(await recoverAll(made), { owes: false, interruption: undefined });
    assert.deepEqual([made.told, made.files(), made.outcomes()], [['a error'], [], ['failed', 'settled']]);
    assert.match(
      String(made.said[0]),
      /^tklbam-hooks: the backup of .* failed, and is still owed: telling its hooks$/,
    );
  });

  test('and by the next session, before its own first hook', async t => {
    const made = fake(t, 'a');
    await indebted(made);
    made.ends.delete('a error');
    const session = made.session('restore');
    await session.advance('pre', '/', {});
    assert.deepEqual(made.told, ['a error', 'a pre']);
    assert.deepEqual(made.records(), []);
    await session.advance('post', '/', {});
  });

  test('are told three times in all, and then never again, but said', async t => {
    const made = fake(t, 'a');
    await indebted(made);
    assert.equal((await recoverAll(made)).owes, true);
    assert.match(
      String(made.said.at(-1)),
      /'\/hooks\.d\/a backup error' .* \(attempt 2 of 3\), it is told again by the next session/,
    );
    assert.equal((await recoverAll(made)).owes, true);
    assert.equal(made.told.length, 2);
    assert.deepEqual(made.outcomes(), ['failed', 'owing']);
    made.said.length = 0;
    assert.equal((await recoverAll(made)).owes, true);
    assert.deepEqual([made.told.length, made.outcomes().length], [2, 2], 'and leaves no more lines');
    assert.match(
      made.said.join('\n'),
      /^tklbam-hooks: '\/hooks\.d\/a' failed 3 times when it was told that .*: see to what it does by hand, then 'tklbam-hooks recover --forget backup'$/,
    );
    assert.deepEqual(
      unfinished(made.statePaths, made.deps.uid).map(({ kind }) => kind),
      ['owing'],
    );
  });

  for (const [what, end, isGoingDown] of [
    ['could not be started', NOT_STARTED, false],
    ['was interrupted', { kind: 'interrupted', signal: 'SIGTERM' }, false],
    ['failed while the machine went down', FAILED, true],
  ] as const) {
    test(`what ${what} does not count`, async t => {
      const made = fake(t, 'a');
      await indebted(made, 2);
      made.ends.set('a error', end);
      made.isGoingDown = isGoingDown;
      for (let count = 0; count < 4; count++) assert.equal((await recoverAll(made)).owes, true);
      assert.deepEqual([owed(made), made.told.length], [[[true, [[2, false]]]], 4]);
    });
  }

  test('what is not there to be told does not count: a directory that is not mounted', async t => {
    const made = fake(t, 'a');
    await indebted(made);
    made.hooks = [];
    for (let count = 0; count < 4; count++) assert.equal((await recoverAll(made)).owes, true);
    assert.match(
      made.said.join('\n'),
      /'\/hooks\.d\/a' was started, and cannot be told what went wrong: it is not there; it stays owed/,
    );
    made.hooks = [{ name: 'a' }];
    made.ends.delete('a error');
    assert.equal((await recoverAll(made)).owes, false);
    assert.deepEqual(made.told, ['a error']);
  });

  test('what succeeds while the machine goes down is paid', async t => {
    const made = fake(t, 'a');
    await indebted(made);
    made.isGoingDown = true;
    made.ends.delete('a error');
    assert.equal((await recoverAll(made)).owes, false);
  });

  test('a recovery that is interrupted leaves the rest, uncounted, and says by what', async t => {
    const made = fake(t, 'a', 'b');
    await leaveCutOff(made);
    made.ends.set('b error', { kind: 'interrupted', signal: 'SIGTERM' });
    assert.deepEqual(await recover(made.statePaths, ['backup'], {}, killed(made)), {
      owes: true,
      interruption: 'SIGTERM',
    });
    assert.deepEqual(made.told, ['b error']);
    assert.deepEqual(owed(made), [
      [
        false,
        [
          [0, false],
          [0, false],
        ],
      ],
    ]);
    made.ends.delete('b error');
    assert.deepEqual(await recoverAll(made), { owes: false, interruption: undefined });
    assert.deepEqual(made.told.slice(1), ['b error', 'a error']);
  });

  test('several sessions of an operation, each with its own', async t => {
    const made = fake(t, 'a', 'b');
    await indebted(made, 2);
    made.ends.set('b error', FAILED);
    const session = made.session();
    await session.advance('pre', '/', {});
    await session.fail('once more');
    assert.deepEqual(owed(made), [
      [
        true,
        [
          [3, false],
          [0, true],
        ],
      ],
      [
        true,
        [
          [1, false],
          [1, false],
        ],
      ],
    ]);
    made.ends.clear();
    assert.equal((await recoverAll(made)).owes, true, 'what was told three times stays owed');
    assert.deepEqual(owed(made), [
      [
        true,
        [
          [3, false],
          [0, true],
        ],
      ],
    ]);
  });

  test('a session that succeeds leaves the debts of others', async t => {
    const made = fake(t, 'a');
    await indebted(made, 3);
    const session = made.session();
    await session.advance('pre', '/', {});
    await session.advance('post', '/', {});
    assert.deepEqual(owed(made), [[true, [[3, false]]]]);
  });

  test('a hook that wants to hear of every failure hears of each once', async t => {
    const made = fake(t, 'a');
    made.hooks = [{ name: 'a' }, { name: 'z', always: true }];
    made.ends.set('a pre', FAILED);
    made.ends.set('a error', FAILED);
    await made.session().advance('pre', '/', {});
    assert.deepEqual(made.told, ['a pre', 'z error', 'a error']);
    made.ends.clear();
    await recoverAll(made);
    assert.deepEqual(made.told.slice(3), ['a error']);
  });

  test('forget gives them up, and says of whom', async t => {
    const made = fake(t, 'a');
    await indebted(made);
    assert.deepEqual(forget(made.statePaths, 'restore', made.deps), []);
    assert.deepEqual(
      forget(made.statePaths, 'backup', made.deps)?.map(({ started }) => started[0]?.path),
      [path('a')],
    );
    assert.deepEqual([made.files(), made.told, made.outcomes()], [[], [], ['failed', 'forgotten']]);
  });

  test('forget leaves a session that runs', async t => {
    const made = fake(t, 'a');
    const session = made.session();
    await session.advance('pre', '/', {});
    assert.equal(forget(made.statePaths, 'backup', made.deps), undefined);
    assert.equal((await session.advance('post', '/', {})).status, 0);
  });
});

describe('recovery', () => {
  const recordFile = (made: Fake): string => join(made.statePaths.stateDirectory, 'sessions/backup.json');

  test('a session that runs is left alone', async t => {
    const made = fake(t, 'a');
    const session = made.session();
    await session.advance('pre', '/', {});
    assert.deepEqual(await recoverAll(made), { owes: false, interruption: undefined });
    assert.deepEqual(
      unfinished(made.statePaths, made.deps.uid).map(({ kind }) => kind),
      ['running'],
    );
    assert.equal((await session.advance('post', '/', {})).status, 0);
    assert.deepEqual(made.told, ['a pre', 'a post']);
  });

  test('one that was cut off is told as it was', async t => {
    const made = fake(t, 'a', 'b');
    await leaveCutOff(made, record => ({
      ...record,
      carriedEnv: { TKLBAM_HOOK_RESUME: 'yes' },
      command: 'restic',
    }));
    assert.deepEqual(
      unfinished(made.statePaths, made.deps.uid).map(({ kind }) => kind),
      ['cut-off'],
    );
    await recoverAll(made);
    const [env] = made.environments;
    assert.deepEqual([made.told, env?.TKLBAM_HOOK_RESUME], [states('error', 'ba'), 'yes']);
    assert.match(
      String(env?.TKLBAM_HOOK_ERROR),
      /^the backup was cut off when its guardian \(pid \d+\) was killed \(while 'restic' ran\)$/,
    );
  });

  test('one that had failed keeps its own reason', async t => {
    const made = fake(t, 'a');
    await leaveCutOff(made, record => ({ ...record, error: 'the disk is full', failed: 'z' }));
    await recoverAll(made);
    const [env] = made.environments;
    assert.deepEqual([env?.TKLBAM_HOOK_ERROR, env?.TKLBAM_HOOK_FAILED], ['the disk is full', 'z']);
  });

  test('both operations, whatever the first owes', async t => {
    const made = fake(t, 'a');
    const backup = await leaveCutOff(made);
    await leaveCutOff(made, undefined, 'restore');
    save(made.statePaths.stateDirectory, 'backup', [backup]);
    made.ends.set('a error', FAILED);
    assert.equal((await recoverAll(made)).owes, true);
    assert.equal(made.told.length, 2);
  });

  test('the lock says what runs while it runs, and no longer', async t => {
    const made = fake(t, 'a', 'b');
    const read = (): string => {
      const path = join(made.statePaths.stateDirectory, 'sessions/backup.lock');
      return String(JSON.parse(readFileSync(path, 'utf8')).trace?.tag[2]);
    };
    const seen: string[] = [];
    for (const name of ['a', 'b']) {
      made.ends.set(`${name} pre`, () => {
        seen.push(read());
        return { kind: 'succeeded' };
      });
    }
    const session = made.session();
    await session.advance('pre', '/', {});
    seen.push(read());
    assert.deepEqual(seen, ['TKLBAM_HOOK_NAME=a', 'TKLBAM_HOOK_NAME=b', 'undefined']);
    await session.advance('post', '/', {});
  });

  test('what was left running is ended first, if the note of it can be understood', async t => {
    const made = fake(t, 'a');
    const note = (trace: unknown): void => {
      const path = join(made.statePaths.stateDirectory, 'sessions/backup.lock');
      writeFileSync(path, JSON.stringify({ purpose: 'session', trace }), { mode: 0o600 });
    };
    const leader = { pid: 1234, start: 5678, boot: 'x' };
    const trace = { cgroup: '/sys/fs/cgroup/tklbam-hooks-1-2-3', leader, hasOwnGroup: true, tag: ['A=b'] };
    await leaveCutOff(made);
    note(trace);
    await recoverAll(made);
    assert.deepEqual(made.ended, [trace]);
    for (const harmed of [{ ...trace, tag: [1] }, { ...trace, leader: { ...leader, pid: 1 } }, ['A=b']]) {
      await leaveCutOff(made);
      note(harmed);
      await recoverAll(made);
    }
    assert.equal(made.ended.length, 1);
  });

  for (const [what, harm] of [
    ['half', (text: string) => text.slice(0, 40)],
    ['of a newer form', (text: string) => text.replace('"version":2', '"version":3')],
    [
      'of the other operation',
      (text: string) => text.replace('"operation":"backup"', '"operation":"restore"'),
    ],
    ['with a caller that is nobody', (text: string) => text.replace(/"caller":\{[^}]*\}/, '"caller":{}')],
  ] as const) {
    test(`a record that is ${what} is kept aside, and the next session begins`, async t => {
      const made = fake(t, 'a');
      await leaveCutOff(made);
      const text = harm(readFileSync(recordFile(made), 'utf8'));
      writeFileSync(recordFile(made), text);
      assert.deepEqual(
        unfinished(made.statePaths, made.deps.uid).map(({ kind }) => kind),
        ['unreadable'],
      );
      const session = made.session();
      assert.equal((await session.advance('pre', '/', {})).status, 0);
      assert.match(
        String(made.said[0]),
        /cannot be understood, keeping it as '.*\.bad'; what its hooks stopped may still be stopped$/,
      );
      assert.equal(readFileSync(`${recordFile(made)}.bad`, 'utf8'), text);
      assert.deepEqual(made.told, ['a pre']);
      await session.advance('post', '/', {});
    });
  }

  test('a record that others could have written is not believed', async t => {
    const made = fake(t, 'a');
    await leaveCutOff(made);
    chmodSync(recordFile(made), 0o666);
    await recoverAll(made);
    assert.deepEqual(made.told, []);
    assert.ok(existsSync(`${recordFile(made)}.bad`));
  });

  test('a record that came back with a restore is kept aside, said, and no hook is told', async t => {
    const made = fake(t, 'a');
    await leaveCutOff(made);
    const saved = `${recordFile(made)}.backup`;
    copyFileSync(recordFile(made), saved);
    rmSync(recordFile(made));
    renameSync(saved, recordFile(made));
    assert.deepEqual(
      unfinished(made.statePaths, made.deps.uid).map(({ kind }) => kind),
      ['copy'],
    );
    assert.deepEqual(await recoverAll(made), { owes: false, interruption: undefined });
    assert.deepEqual([made.told, made.files()], [[], ['backup.json.copy']]);
    assert.match(
      String(made.said[0]),
      /came back with a restore or a copy; keeping it as '.*\.copy', no hook is told$/,
    );
  });

  test('a restore over the very file is no session either', async t => {
    const made = fake(t, 'a');
    await leaveCutOff(made);
    const text = readFileSync(recordFile(made));
    save(made.statePaths.stateDirectory, 'backup', []);
    writeFileSync(recordFile(made), text, { mode: 0o600 });
    await recoverAll(made);
    assert.deepEqual(made.told, []);
  });

  test('a new session waits for a recovery that runs, and says so', async t => {
    const made = fake(t, 'a');
    await leaveCutOff(made);
    const other = lock(made.statePaths.stateDirectory, 'backup', 'recovery', 0);
    const said: string[] = [];
    const deps = {
      ...made.deps,
      tell: (line: string) => {
        said.push(line);
        if (line.includes('waiting')) other?.close();
      },
    };
    const session = made.session('backup', deps);
    assert.equal((await session.advance('pre', '/', {})).status, 0);
    assert.equal(said[0], 'tklbam-hooks: waiting for the recovery of what was cut off');
    assert.deepEqual(made.told, ['a error', 'a pre']);
    await session.advance('post', '/', {});
  });

  test('and can be interrupted while it waits', async t => {
    const made = fake(t, 'a');
    const other = lock(made.statePaths.stateDirectory, 'backup', 'recovery', 0);
    made.interruption = 'interrupted by signal SIGTERM';
    const { status, error } = await made.session().advance('pre', '/', {});
    assert.deepEqual([status, error], [1, 'interrupted by signal SIGTERM, no hook was run']);
    other?.close();
  });
});

describe('seconds', () => {
  /** Of the last session in the log. */
  const seconds = (made: Fake): number =>
    made.logged().findLast(each => each.type === 'session')?.seconds ?? Number.NaN;
  const uptime = (): number => Number.parseFloat(readFileSync('/proc/uptime', 'latin1'));

  test('are not those of a clock that a hook sets', async t => {
    const made = fake(t, 'a');
    const session = made.session();
    await session.advance('pre', '/', {});
    mock.timers.enable({ apis: ['Date'], now: Date.now() + 400 * 86_400_000 });
    try {
      await session.advance('post', '/', {});
    } finally {
      mock.timers.reset();
    }
    assert.ok(seconds(made) < 3600, String(seconds(made)));
  });

  test('of one that was cut off are those of the uptime', async t => {
    const made = fake(t, 'a');
    await leaveCutOff(made, record => ({
      ...record,
      since: '2001-01-01T00:00:00.000Z',
      uptime: uptime() - 100,
    }));
    await recoverAll(made);
    assert.ok(seconds(made) >= 100 && seconds(made) < 3700, String(seconds(made)));
  });

  test('of one that an earlier boot began are those of the clock', async t => {
    const made = fake(t, 'a');
    const since = new Date(Date.now() - 500_000).toISOString();
    const boot = 'earlier';
    await leaveCutOff(made, record => ({
      ...record,
      since,
      uptime: uptime() + 1e6,
      guardian: { ...record.guardian, boot },
    }));
    made.ends.set('a error', { kind: 'interrupted', signal: 'SIGTERM' });
    await recover(made.statePaths, ['backup'], {}, killed(made));
    made.ends.delete('a error');
    await recoverAll(made);
    assert.ok(seconds(made) >= 500 && seconds(made) < 4100, String(seconds(made)));
  });
});

describe('the scratch directory', () => {
  const scratchOf = (made: Fake): (string | undefined)[] =>
    made.environments.map(env => env.TKLBAM_HOOK_SCRATCH);

  test('is one for all states of a session, and goes with it', async t => {
    const made = fake(t, 'a');
    const session = made.session();
    made.ends.set('a pre', () => {
      const path = String(made.environments.at(-1)?.TKLBAM_HOOK_SCRATCH);
      assert.equal(statSync(path).mode & 0o7777, 0o700);
      mkdirSync(join(path, 'of', 'a'), { recursive: true });
      return { kind: 'succeeded' };
    });
    await session.advance('pre', '/', {});
    await session.advance('post', '/', {});
    const [pre, post] = scratchOf(made);
    assert.ok(pre?.startsWith(made.statePaths.stateDirectory));
    assert.equal(pre, post);
    assert.deepEqual(made.files(), []);
  });

  test('stays while something is owed, and is there when it is told', async t => {
    const made = fake(t, 'a');
    made.ends.set('a pre', FAILED);
    made.ends.set('a error', FAILED);
    await made.session().advance('pre', '/', {});
    const path = String(scratchOf(made)[1]);
    writeFileSync(join(path, 'file'), '');
    // Another session comes and goes.
    made.ends.set('a pre', { kind: 'succeeded' });
    const session = made.session();
    await session.advance('pre', '/', {});
    await session.advance('post', '/', {});
    assert.ok(existsSync(join(path, 'file')));
    made.ends.set('a error', { kind: 'succeeded' });
    await recoverAll(made);
    assert.equal(scratchOf(made).at(-1), path);
    assert.deepEqual(made.files(), []);
  });

  test('what a killed session left goes with its recovery', async t => {
    const made = fake(t, 'a');
    await leaveCutOff(made);
    mkdirSync(join(made.statePaths.stateDirectory, 'sessions', 'scratch-none'));
    await recoverAll(made);
    assert.deepEqual(made.files(), []);
  });

  test('of nothing else: whoever is turned away has none', async t => {
    const made = fake(t);
    made.hooks = [{ name: 'a', always: true }];
    await made.session().turnAway('no', {});
    assert.deepEqual(scratchOf(made), [undefined]);
  });
});
