// `npm run soak -- [--without-recover] N [SEED]`: N faults (faults.ts), from one seed on. One of them alone again: `npm run soak -- 1 SEED`.
// `npm run soak -- --volume btrfs|lvm N [SEED]`: N faults in backups with the hook `snapshot` (volume-faults.ts).
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { describeViolations, soak, summarize, tally } from './support/faults.ts';
import { cacheDirectory } from './support/harness.ts';
import { btrfsFaults, lvmFaults, openVolumeMachine, violations } from './support/volume-faults.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    'without-recover': { type: 'boolean', default: false },
    volume: { type: 'string' },
    parallel: { type: 'string', default: '3' },
    verbose: { type: 'boolean', default: false },
  },
});
const [count, seed, parallel] = [positionals[0], positionals[1] ?? random(), values.parallel].map(Number);
if (![count, seed, parallel].every(number => Number.isInteger(number) && Number(number) >= 0))
  throw new Error(
    'usage: npm run soak -- [--without-recover] [--parallel N] [--verbose] [--volume btrfs|lvm] N [SEED]',
  );

function random(): number {
  return Math.floor(Math.random() * 2 ** 32);
}

mkdirSync(cacheDirectory, { recursive: true, mode: 0o755 });
const base = mkdtempSync(join(cacheDirectory, 'soak-'));
chmodSync(base, 0o755);
const began = performance.now();
console.log(`${count} faults, seed ${seed}`);
try {
  const isGood = await (values.volume === undefined
    ? sessions(Number(count), Number(seed))
    : volumes(values.volume, Number(count), Number(seed) % 32768));
  process.exitCode = isGood ? 0 : 1;
} finally {
  rmSync(base, { recursive: true, force: true });
}

async function volumes(kind: string, faults: number, first: number): Promise<boolean> {
  if (kind === 'btrfs') {
    const said = btrfsFaults(base, faults, first);
    console.log(said);
    return violations(said).length === 0;
  }
  const machine = openVolumeMachine(base);
  try {
    await lvmFaults(machine, faults, first);
  } finally {
    console.log(machine.transcript.join('\n'));
  }
  return violations(machine.transcript.join('\n')).length === 0;
}

async function sessions(faults: number, first: number): Promise<boolean> {
  const outcomes = await soak({
    count: faults,
    seed: first,
    base,
    parallel: Number(parallel),
    recovers: !values['without-recover'],
    report: outcome => {
      if (outcome.violations.length > 0 || values.verbose) console.log(describeViolations(outcome));
    },
  });
  const blows = outcomes.flatMap(({ fault, struck }) =>
    fault.blows.map(({ signal, target, when }, index) => ({
      signal,
      target,
      when,
      where: struck[index] ?? '',
    })),
  );
  console.log(`${blows.length} blows: ${tally(blows.map(({ where }) => where))}`);
  console.log(`${Math.round((performance.now() - began) / 1000)} s, seed ${first}: ${summarize(outcomes)}`);
  return outcomes.every(({ violations }) => violations.length === 0);
}
