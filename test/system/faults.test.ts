// Faults of all kinds, as many as a run of the tests has time for; `npm run soak -- N` does any number.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeViolations, soak, summarize } from '../support/faults.ts';
import { scratch } from '../support/harness.ts';

const seed = Math.floor(Math.random() * 2 ** 32);

test(`each hook that was started is told how it ended, and nothing is left: 240 faults, seed ${seed}`, async t => {
  const outcomes = await soak({
    count: 240,
    seed,
    base: scratch(t),
    parallel: 3,
    recovers: true,
    report: outcome => {
      if (outcome.violations.length > 0) t.diagnostic(describeViolations(outcome));
    },
  });
  t.diagnostic(summarize(outcomes));
  assert.deepEqual(
    outcomes.filter(({ violations }) => violations.length > 0).map(({ fault }) => fault.seed),
    [],
  );
});

test(`without recovery, some are not: 24 kills of a guardian, seed ${seed}`, async t => {
  const outcomes = await soak({
    count: 24,
    seed,
    base: scratch(t),
    parallel: 3,
    recovers: false,
    isWanted: ({ blows }) =>
      blows.some(({ target, signal }) => target === 'guardian' && signal === 'SIGKILL'),
    report: () => {},
  });
  assert.ok(outcomes.some(({ violations }) => violations.length > 0));
});
