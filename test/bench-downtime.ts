// The last tables of `npm run bench`, alone by `build/node test/bench-downtime.ts [MEBIBYTES...]`: for how long a PostgreSQL does not answer
// while its volume is backed up by borg, in several ways, and by borgmatic with its own hook for btrfs; and what kill -9 leaves. In a
// container of Debian 13, the first release whose borgmatic has that hook. Only for root.
import { inContainer } from './support/container.ts';

const packages = [
  ...['systemd-sysv', 'dbus', 'btrfs-progs', 'postgresql', 'borgbackup', 'borgmatic', 'python3', 'procps'],
];
const files = {
  downtime: 'test/vm/downtime',
  'counter.py': 'test/vm/counter.py',
  'unanswered.py': 'test/vm/unanswered.py',
  services: 'hooks.d/services',
  'services.conf': 'hooks.d/services.conf',
  snapshot: 'hooks.d/snapshot',
  'snapshot.conf': 'hooks.d/snapshot.conf',
};
/** The names that test/vm/downtime has for them, in its order. */
const ways = {
  nothing: 'borg alone',
  own: 'borg after a restart',
  services: 'services',
  snapshot: 'snapshot, QUIESCE',
  borgmatic: 'borgmatic, btrfs',
  'borgmatic-stopped': '... and stop, start',
} as const;
/** The most that `snapshot` may add to what a restart takes, in seconds. */
const GOAL = 1;

interface Trial {
  readonly mebibytes: number;
  readonly downtime: number;
  readonly seconds: number;
  readonly apart: string;
  readonly state: string;
}

export async function benchDowntime(sizes: readonly number[] = [100, 1000, 4000]): Promise<void> {
  const trials = new Map<string, Trial[]>();
  let killed: string[][] = [];
  for (const mebibytes of sizes) {
    const said = await inContainer('trixie', packages, files, ['downtime', String(mebibytes)]);
    const lines = said.map(line => line.split('\t'));
    for (const [kind, way = '', downtime, seconds, apart = '', state = ''] of lines) {
      if (kind !== 'trial') continue;
      const trial = { mebibytes, downtime: Number(downtime), seconds: Number(seconds), apart, state };
      trials.set(way, [...(trials.get(way) ?? []), trial]);
    }
    killed = lines.filter(([kind]) => kind === 'killed');
  }
  print(sizes, trials, killed);
}

function print(
  sizes: readonly number[],
  trials: ReadonlyMap<string, readonly Trial[]>,
  killed: readonly (readonly string[])[],
): void {
  const row = (name: string, cells: readonly string[]): void =>
    console.log(name.padEnd(22) + cells.map(cell => cell.padStart(9)).join(''));
  const pad = sizes.slice(1).map(() => '');
  row('', ['down, s', ...pad, 'x alone', ...pad, 'apart', ...pad, '  state of the data']);
  const shown = sizes.map(size => `${size} MiB`);
  row('', [...shown, ...shown, ...shown]);
  for (const [way, name] of Object.entries(ways)) {
    const all = trials.get(way) ?? [];
    row(name, [
      ...all.map(({ downtime }) => downtime.toFixed(1)),
      ...all.map(({ seconds }, index) =>
        (seconds / (trials.get('nothing')?.[index]?.seconds ?? 0)).toFixed(2),
      ),
      ...all.map(({ apart }) => apart),
      `  ${all.at(-1)?.state}`,
    ]);
  }
  const over = (trials.get('snapshot') ?? []).map(
    ({ downtime }, index) => downtime - (trials.get('own')?.[index]?.downtime ?? 0),
  );
  const most = Math.max(...over);
  const verdict = most <= GOAL ? 'met' : 'MISSED';
  console.log(`\nsnapshot, above a restart: ${most.toFixed(2)} s (at most ${GOAL}): ${verdict}`);
  console.log('\nafter kill -9 of the tool and borg    snapshots  services down');
  for (const [, way = '', when, snapshots, down] of killed) {
    const mended = way.startsWith('borgmatic') ? 'after its next run' : "after 'recover'";
    const name = when === 'then' ? (ways[way as keyof typeof ways] ?? way) : `  ${mended}`;
    console.log(name.padEnd(38) + `${snapshots}`.padStart(9) + `${down}`.padStart(15));
  }
}

if (import.meta.main) {
  const sizes = process.argv.slice(2).map(Number);
  await benchDowntime(sizes.length > 0 ? sizes : undefined);
}
