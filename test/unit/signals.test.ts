// Signals of the runner: who is asked, and that none is lost. The source is made up; that real ones arrive is in test/cli/signals.test.ts.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cancelOnSignal, catchSignals, type Handler, type Reaction } from '../../src/run/signals.ts';

const NAMES = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGUSR2'] as const;

/** Signals, and a way to send one. */
function sourced(names: readonly NodeJS.Signals[] = NAMES) {
  const listeners = new Map<NodeJS.Signals, () => void>();
  const signals = catchSignals({ on: (name, listener) => listeners.set(name, listener) }, names);
  return {
    ...signals,
    caught: [...listeners.keys()],
    send: (name: NodeJS.Signals) => listeners.get(name)?.(),
  };
}

/** A handler that answers each signal alike, and what it was asked. */
function asked(answer: Reaction | Handler): { readonly handler: Handler; readonly seen: NodeJS.Signals[] } {
  const seen: NodeJS.Signals[] = [];
  return {
    seen,
    handler: signal => {
      seen.push(signal);
      return typeof answer === 'string' ? answer : answer(signal);
    },
  };
}

test('what is caught is what was named', () => {
  assert.deepEqual(sourced(['SIGTERM', 'SIGQUIT']).caught, ['SIGTERM', 'SIGQUIT']);
});

test('the innermost handler alone is asked, and the outer one again after it', async () => {
  const { during, send } = sourced();
  const [outer, inner] = [asked('handled'), asked('handled')];
  await during(outer.handler, async () => {
    send('SIGTERM');
    await during(inner.handler, async () => send('SIGINT'));
    send('SIGHUP');
  });
  assert.deepEqual([outer.seen, inner.seen], [['SIGTERM', 'SIGHUP'], ['SIGINT']]);
});

test('what comes while nobody listens waits for the next handler, each once', async () => {
  const { during, send } = sourced();
  for (const name of ['SIGUSR2', 'SIGTERM', 'SIGUSR2'] as const) send(name);
  const { handler, seen } = asked('handled');
  await during(handler, async () => undefined);
  assert.deepEqual(seen, ['SIGUSR2', 'SIGTERM']);
  await during(handler, async () => undefined);
  assert.equal(seen.length, 2, 'and is not asked about again');
});

test('a deferred signal is asked about again by whom the handler stood in front of, an ignored one is not', async () => {
  const { during, send } = sourced();
  const outer = asked('handled');
  const inner = asked(signal => (signal === 'SIGTERM' ? 'deferred' : 'ignored'));
  await during(outer.handler, async () => {
    await during(inner.handler, async () => {
      send('SIGUSR2');
      send('SIGTERM');
      assert.deepEqual(outer.seen, []);
    });
    assert.deepEqual(outer.seen, ['SIGTERM']);
  });
  assert.deepEqual(inner.seen, ['SIGUSR2', 'SIGTERM']);
});

test('a deferred signal waits for the next handler too', async () => {
  const { during, send } = sourced();
  const [first, second] = [asked('deferred'), asked('handled')];
  await during(first.handler, async () => send('SIGTERM'));
  await during(second.handler, async () => undefined);
  assert.deepEqual(second.seen, ['SIGTERM']);
});

test('one signal does not hide another', async () => {
  const { during, send } = sourced();
  const inner = asked('deferred');
  const outer = asked('handled');
  await during(outer.handler, () =>
    during(inner.handler, async () => {
      for (const name of ['SIGUSR2', 'SIGHUP', 'SIGTERM'] as const) send(name);
    }),
  );
  assert.deepEqual(outer.seen, ['SIGUSR2', 'SIGHUP', 'SIGTERM']);
});

for (const [how, work] of [
  ['throws', () => Promise.reject(new Error('broken'))],
  [
    'throws at once',
    () => {
      throw new Error('broken');
    },
  ],
] as const) {
  test(`work that ${how} takes its handler with it`, async () => {
    const { during, send } = sourced();
    const [outer, inner] = [asked('handled'), asked('deferred')];
    await during(outer.handler, async () => {
      send('SIGINT');
      await assert.rejects(during(inner.handler, work), /broken/);
      send('SIGTERM');
    });
    assert.deepEqual([outer.seen, inner.seen], [['SIGINT', 'SIGTERM'], []]);
  });
}

test('what the work resolves to comes through', async () => {
  assert.equal(await sourced().during(asked('ignored').handler, async () => 7), 7);
});

test('a handled signal cancels with its name; only a SIGINT after it cuts the grace short', async () => {
  const { send, ...signals } = sourced();
  await cancelOnSignal(signals, asked('handled').handler, async ({ stop, hurry }) => {
    send('SIGTERM');
    assert.deepEqual([stop.aborted, stop.reason, hurry.aborted], [true, 'SIGTERM', false]);
    send('SIGTERM');
    send('SIGHUP');
    assert.equal(hurry.aborted, false);
    send('SIGINT');
    assert.deepEqual([stop.reason, hurry.aborted], ['SIGTERM', true]);
  });
});

for (const answer of ['ignored', 'deferred'] as const) {
  test(`a signal that is ${answer} cancels nothing`, async () => {
    const { send, ...signals } = sourced();
    await cancelOnSignal(signals, asked(answer).handler, async ({ stop, hurry }) => {
      send('SIGTERM');
      send('SIGINT');
      assert.deepEqual([stop.aborted, hurry.aborted], [false, false]);
    });
  });
}

test('one that waits cancels before the work begins; and the work can cancel itself', async () => {
  const { send, ...signals } = sourced();
  send('SIGHUP');
  await cancelOnSignal(signals, asked('handled').handler, async ({ stop }) => {
    assert.equal(stop.reason, 'SIGHUP');
  });
  await cancelOnSignal(signals, asked('handled').handler, async ({ stop }, cancel) => {
    cancel('SIGTERM');
    assert.equal(stop.reason, 'SIGTERM');
  });
});
