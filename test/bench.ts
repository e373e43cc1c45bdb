// `npm run bench [-- ROUNDS]`: processor time, time, memory and reads from disk beside those of rivals, measured in the same run in a container
// of Debian 13; then the throughput of dumps, and for how long services are down. Prints tables, as ratios, and writes dist/bench.json.
// Only for root.
import { readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { benchDowntime } from './bench-downtime.ts';
import { benchThroughput } from './bench-throughput.ts';
import { executable } from './support/built.ts';
import { inContainer } from './support/container.ts';
import { repository } from './support/repository.ts';

const rounds = Number(process.argv[2] ?? 20);
if (!Number.isInteger(rounds) || rounds < 1) throw new Error('usage: npm run bench [-- ROUNDS]');

/** In milliseconds and MiB. */
interface Figures {
  readonly wall: number;
  readonly cpu: number;
  readonly rss: number;
  readonly read: number;
}
type Measured = ReadonlyMap<string, Figures>;

const files = {
  bench: 'test/vm/bench',
  'bench.py': 'test/vm/bench.py',
  'spawn.cjs': 'test/vm/spawn.cjs',
  'least.cjs': 'test/vm/least.cjs',
  'hooks.py': 'packaging/hooks.py',
  fixclock: 'hooks.d/fixclock',
  node: `node_modules/node-linux-${process.arch}/bin/node`,
};
const packages = ['systemd-sysv', 'dbus', 'procps', 'python3'];

const own = await measure('trixie', ['borgmatic', 'borgbackup', 'etckeeper']);
// The last release with Python 2.7.
const old = await measure('bullseye', ['python2.7'], 'brief');
printHooks();
printBackups();
printGrowth();
printGoals();
const dumps = await benchThroughput(Math.ceil(rounds / 4));
writeFileSync(
  'dist/bench.json',
  `${JSON.stringify({ rounds, trixie: Object.fromEntries(own), bullseye: Object.fromEntries(old), dumps }, null, 2)}\n`,
);
await benchDowntime();

async function measure(
  suite: string,
  more: readonly string[],
  ...words: readonly string[]
): Promise<Measured> {
  const said = await inContainer(suite, [...packages, ...more], files, ['bench', String(rounds), ...words]);
  return new Map(
    said
      .filter(line => line.startsWith('{'))
      .map(line => {
        const { key, ...figures }: Figures & { key: string } = JSON.parse(line);
        return [key, figures];
      }),
  );
}

function of(measured: Measured, key: string): Figures {
  const found = measured.get(key);
  if (found === undefined) throw new Error(`'${key}' was not measured`);
  return found;
}

/** Beside `node -e 0` in the same run. */
function ratio(measured: Measured, key: string, what: 'wall' | 'cpu'): string {
  return (of(measured, key)[what] / of(measured, 'node')[what]).toFixed(2);
}

/** Processor time of each further hook, from the first to the hundredth. */
function further(measured: Measured, name: string): number {
  return (of(measured, `${name} 100`).cpu - of(measured, `${name} 1`).cpu) / 99;
}

function row(name: string, cells: readonly string[]): void {
  console.log(name.padEnd(34) + cells.map(cell => cell.padStart(10)).join(''));
}

function printHooks(): void {
  console.log(`\nhooks of one state, beside node -e 0 (medians of ${rounds} rounds)`);
  row('', ['time', '', '', 'processor', '', '', 'further']);
  row('', ['1', '10', '100', '1', '10', '100', 'x run-parts']);
  const line = (name: string, measured: Measured, title = name): void => {
    const cells = (['wall', 'cpu'] as const).flatMap(what =>
      [1, 10, 100].map(count => ratio(measured, `${name} ${count}`, what)),
    );
    row(title, [...cells, (further(measured, name) / further(measured, 'run-parts')).toFixed(1)]);
  };
  line('run', own, 'tklbam-hooks run');
  line('run-parts', own);
  line('etckeeper', own, "etckeeper's loop");
  line('python3', own, "tklbam's way, Python 3");
  line('python2.7', old, "tklbam's way, Python 2.7");
  // Its processor time is systemd's, and not ours to count.
  row(
    'ExecStartPre= of systemd',
    [1, 10, 100].map(count => ratio(own, `systemd ${count}`, 'wall')),
  );
}

function printBackups(): void {
  console.log('\na backup with three hooks, beside node -e 0');
  row('', ['time', 'processor', 'MiB']);
  const line = (title: string, key: string, measured = own): void =>
    row(title, [ratio(measured, key, 'wall'), ratio(measured, key, 'cpu'), of(measured, key).rss.toFixed(0)]);
  line("sh -c 'hooks; true; hooks'", 'sh');
  line('wrap -- true', 'wrap');
  line("tklbam's way, Python 3", 'own way python3');
  line('hooks.py, Python 3', 'hooks.py python3');
  line("tklbam's way, Python 2.7", 'own way python2.7', old);
  line('hooks.py, Python 2.7', 'hooks.py python2.7', old);
  line('borg create', 'borg');
  line('wrap -- borg create', 'wrap borg');
  line('borgmatic, before_ and after_backup', 'borgmatic');
  console.log('\none whose second hook fails');
  for (const key of ['failing run-parts', 'failing run', 'failing wrap'])
    line(key.replace('failing ', ''), key);
}

function printGrowth(): void {
  console.log('\nprocessor time for each hook as there are more, beside run-parts with 10');
  const counts = [10, 100, 1000, 5000];
  row('hooks', counts.map(String));
  const unit = of(own, 'run-parts 10').cpu / 10;
  for (const name of ['run', 'wrap', 'run-parts'])
    row(
      name,
      counts.map(count => (of(own, `${name} ${count}`).cpu / count / unit).toFixed(2)),
    );
  console.log('\nother growth, beside the first');
  const beside = (title: string, first: string, second: string): void =>
    row(title, [(of(own, second).cpu / of(own, first).cpu).toFixed(2)]);
  beside('environment of 1 MiB', 'environment 0', 'environment 1');
  beside('environment of 1.9 MiB', 'environment 0', 'environment 1.9');
  beside('a killed hook, 1,000 processes more', 'processes 0', 'processes 1000');
  beside('one hook, 2,000 mounts more', 'mounts 0', 'mounts 2000');
  beside('status, log of 100,000 beside 1,000', 'status 1000', 'status 100000');
  beside('history, log of 100,000 beside 1,000', 'history 1000', 'history 100000');
}

function printGoals(): void {
  console.log('\ngoals');
  const goal = (what: string, value: number, limit: number, unit: string): void => {
    const verdict = value <= limit ? 'met' : 'MISSED';
    console.log(
      `${what.padEnd(60)}${`${value.toFixed(2)} ${unit}`.padStart(10)}  (at most ${limit}): ${verdict}`,
    );
  };
  const figure = (what: string, value: number, unit: string): void =>
    console.log(what.padEnd(60) + `${value.toFixed(2)} ${unit}`.padStart(10));
  const cpu = (key: string): number => of(own, key).cpu;
  const each = further(own, 'run-parts');
  goal('one hook, processor time beside node -e 0', cpu('run 1') / cpu('node'), 1.35, 'x');
  figure('  as many programs started by Node.js', cpu('spawn 1') / cpu('node'), 'x');
  figure('  the limit: with what a hook is promised', cpu('least 1') / cpu('node'), 'x');
  goal('each further hook, processor time beside run-parts', further(own, 'run') / each, 1.8, 'x');
  figure('  as many programs started by Node.js', further(own, 'spawn') / each, 'x');
  figure('  the limit: with what a hook is promised', further(own, 'least') / each, 'x');
  const added = (key: string, beside: string): number => of(own, key).wall - of(own, beside).wall;
  const session = (key: string): number => added(`${key} python3`, 'no hooks python3');
  goal("a session adds to tklbam, beside tklbam's own way", session('hooks.py') / session('own way'), 1, 'x');
  figure('  the limit: with what is promised', of(own, 'least session').wall / session('own way'), 'x');
  goal('wrap is later than sh, beside node -e 0', added('wrap', 'sh') / of(own, 'node').wall, 1, 'x');
  figure('  the limit: with what is promised', added('least wrap', 'sh') / of(own, 'node').wall, 'x');
  figure('fixclock in a state not its own, beside sh -c :', cpu('fixclock inspect') / cpu('sh -c :'), 'x');
  figure('  its time', of(own, 'fixclock inspect').wall, 'ms');
  const memory = of(own, 'run 1').rss - of(own, 'node').rss;
  goal('peak memory of one hook, above node -e 0', memory, 6, 'MiB');
  figure('  the limit', of(own, 'least 1').rss - of(own, 'node').rss, 'MiB');
  figure('  with a hundred', of(own, 'run 100').rss - of(own, 'node').rss, 'MiB');
  figure('read from disk when nothing is cached, one hook', of(own, 'cold run').read, 'MiB');
  figure('  node -e 0', of(own, 'cold node').read, 'MiB');
  figure('  its time beside that of node -e 0', of(own, 'cold run').wall / of(own, 'cold node').wall, 'x');
  console.log(`\n${size(executable())} MiB  dist/tklbam-hooks`);
  for (const name of readdirSync(join(repository, 'dist')).filter(file => file.endsWith('.deb')))
    console.log(`${size(join(repository, 'dist', name))} MiB  dist/${name}`);
}

function size(path: string): string {
  return (statSync(path).size / 2 ** 20).toFixed(1).padStart(6);
}
