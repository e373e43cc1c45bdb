// npm run base [-- 24]: takes the newest Node.js of that line (of the one in use, without it) that the registry has for every
// architecture, into package.json and package-lock.json.
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';

const about = JSON.parse(readFileSync('package.json', 'utf8'));
const bases: Record<string, string> = about.optionalDependencies;
const line = process.argv[2] ?? Object.values(bases)[0]?.split('.')[0] ?? '';
if (!/^\d+$/.test(line)) throw new Error(`'${line}' is no line of Node.js, as 24 is`);

const numbers = Object.keys(bases).map(name => {
  const printed = execFileSync('npm', ['view', '--json', name, 'versions'], { encoding: 'utf8' });
  const versions: readonly string[] = JSON.parse(printed);
  return new Set(versions.filter(version => new RegExp(`^${line}\\.\\d+\\.\\d+$`).test(version)));
});
const common = [...(numbers[0] ?? [])].filter(version => numbers.every(each => each.has(version)));
const newest = common.sort((left, right) => left.localeCompare(right, 'en', { numeric: true })).at(-1);
if (newest === undefined)
  throw new Error(`the registry has no Node.js ${line} for all of ${Object.keys(bases).join(', ')}`);

for (const name of Object.keys(bases)) bases[name] = newest;
writeFileSync('package.json', `${JSON.stringify(about, undefined, 2)}\n`);
execFileSync('npm', ['install', '--package-lock-only'], { stdio: 'inherit' });
process.stdout.write(`Node.js ${newest}: 'npm ci' installs it\n`);
