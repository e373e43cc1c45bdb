// The part of `npm run bench` about dumps, alone by `build/node test/bench-throughput.ts [ROUNDS [MEGABYTES...]]`: a whole backup by the hooks
// `postgresql` and `mariadb` beside the bare tool that writes to the same place, and sync(1) of what it wrote. In a container of Debian 13.
// Only for root.
import { inContainer } from './support/container.ts';

const packages = [
  ...['systemd-sysv', 'dbus', 'postgresql', 'mariadb-server', 'python3', 'procps', 'util-linux'],
];
const files = {
  throughput: 'test/vm/throughput',
  'throughput.py': 'test/vm/throughput.py',
  postgresql: 'hooks.d/postgresql',
  'postgresql.conf': 'hooks.d/postgresql.conf',
  mariadb: 'hooks.d/mariadb',
  'mariadb.conf': 'hooks.d/mariadb.conf',
};
/** The least throughput of a hook beside that of the tool and sync(1), where a processor is free beside it. */
const GOAL = 0.95;

interface Size {
  readonly server: string;
  readonly megabytes: number;
}
/** In seconds. */
interface Trial extends Size {
  readonly processors: number;
  readonly who: 'tool' | 'synced' | 'hook';
  readonly wall: number;
  readonly cpu: number;
}
/** In MiB, but for the size of the dumps. */
interface Memory extends Size {
  readonly bytes: number;
  readonly largest: number;
  readonly sum: number;
}

/** What it has printed, too: a line for each server, size and number of processors. */
export async function benchThroughput(
  rounds: number,
  sizes: readonly number[] = [100, 1000],
): Promise<readonly object[]> {
  const words = ['throughput', `${rounds}`, ...sizes.map(String)];
  const said = await inContainer('trixie', packages, files, words);
  const lines: (Trial | Memory)[] = said.filter(line => line.startsWith('{')).map(line => JSON.parse(line));
  const trials = lines.filter(line => 'who' in line);
  const memories = lines.filter(line => 'bytes' in line);
  const row = (name: string, cells: readonly string[]): void =>
    console.log(name.padEnd(22) + cells.map(cell => cell.padStart(12)).join(''));
  console.log(`\na backup of one database beside the bare tool (medians of ${rounds} rounds)`);
  row('', ['tool, s', 'throughput', '', 'processor', 'MiB', '']);
  row('', ['', 'with sync', 'without', 'time', 'largest', 'all']);
  const rows = memories.flatMap(({ server, megabytes, bytes, largest, sum }) => {
    const own = trials.filter(trial => trial.server === server && trial.megabytes === megabytes);
    const counts = [...new Set(own.map(({ processors }) => processors))];
    return counts.map(processors => {
      const of = (who: Trial['who'], what: 'wall' | 'cpu'): number =>
        median(
          own.filter(each => each.processors === processors && each.who === who).map(each => each[what]),
        );
      const beside = { synced: of('synced', 'wall') / of('hook', 'wall') };
      const figures = {
        ...{ server, bytes, processors, seconds: of('synced', 'wall') },
        ...{ ...beside, unsynced: of('tool', 'wall') / of('hook', 'wall') },
        ...{ cpu: of('hook', 'cpu') / of('synced', 'cpu'), largest, sum },
      };
      row(`${server}, ${(bytes / 1e6).toFixed(0)} MB, ${processors} CPU`, [
        figures.seconds.toFixed(1),
        ...[figures.synced, figures.unsynced, figures.cpu].map(each => each.toFixed(2)),
        ...[largest, sum].map(String),
      ]);
      return figures;
    });
  });
  const largestSize = Math.max(...rows.map(({ bytes }) => bytes)) * 0.9;
  for (const { server, synced, processors, bytes } of rows.filter(each => each.bytes > largestSize)) {
    if (processors === 1) continue;
    const verdict = synced >= GOAL ? 'met' : 'MISSED';
    console.log(
      `${server}, ${(bytes / 1e6).toFixed(0)} MB: ${synced.toFixed(2)} (at least ${GOAL}): ${verdict}`,
    );
  }
  return rows;
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((one, other) => one - other);
  const middle = sorted.length / 2;
  return ((sorted[Math.ceil(middle) - 1] ?? 0) + (sorted[Math.floor(middle)] ?? 0)) / 2;
}

if (import.meta.main) {
  const [rounds = 5, ...sizes] = process.argv.slice(2).map(Number);
  await benchThroughput(rounds, sizes.length > 0 ? sizes : undefined);
}
