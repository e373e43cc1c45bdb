// dist/tklbam-hooks: the bundle and Node.js in one executable, by pkg's SEA mode. With --arch, for another architecture.
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import sea from '@yao-pkg/pkg/lib-es5/sea.js';
import { PART_MARK } from './part-mark.ts';
import { canRun, nodePackage, readTarget } from './target.ts';

const { version, optionalDependencies } = JSON.parse(readFileSync('package.json', 'utf8'));
const target = readTarget();
const nodeVersion = optionalDependencies[`node-linux-${target.node}`];
if (process.version !== `v${nodeVersion}`) {
  throw new Error(
    `this is Node.js ${process.version}, and the executable is built with ${nodeVersion}: run 'npm run build'`,
  );
}

/** Prints whether V8 refuses the code cache. */
const READ_BACK = `const [, script, codeCache] = process.argv;
const [source, cachedData] = [fs.readFileSync(script, 'utf8'), fs.readFileSync(codeCache)];
new vm.Script(source, { cachedData }).cachedDataRejected`;

const scratch = mkdtempSync(resolve('dist/build-'));
try {
  // Where pkg keeps the official builds that it has fetched: it takes the one that is there.
  const base = join(scratch, '.pkg-cache/sea', `node-v${nodeVersion}-linux-${target.node}`, 'bin/node');
  mkdirSync(dirname(base), { recursive: true });
  copyFileSync(join(nodePackage(target), 'bin/node'), base);
  strip(base);
  for (const fetched of [
    `${dirname(dirname(base))}.tar.gz`,
    `${dirname(dirname(base))}.tar.gz.ok`,
    `${base}.ok`,
  ]) {
    writeFileSync(fetched, '');
  }

  const assets = makeAssets(base);

  // pkg makes its own scratch directory in there, and Node.js reads the paths below from it: the first is part of the executable,
  // which must not depend on where it was built.
  process.env.TMPDIR = scratch;
  process.env.HOME = scratch;
  copyFileSync('build/start.cjs', join(scratch, 'start.cjs'));
  const output = join(scratch, 'tklbam-hooks');
  await sea.default('build/start.cjs', {
    targets: [{ nodeRange: `node${nodeVersion}`, platform: 'linux', arch: target.node, output }],
    seaConfig: {
      // @ts-expect-error: pkg hands all this to Node.js as it is, and does not know two of them.
      main: '../start.cjs',
      assets,
      disableExperimentalSEAWarning: true,
      // Of the caller's environment, NODE_OPTIONS would run code in our process, as root, and OPENSSL_CONF load it.
      execArgvExtension: 'none',
      execArgv: [
        '--openssl-config=/dev/null',
        '--no-warnings',
        // No debugger at SIGUSR1.
        '--disable-sigusr1',
        // One thread, which is the fewest (0 is one for each processor): a caller that may start few processes gets further. It is an option
        // of Node.js. With any of V8's, V8 would refuse what Node.js has compiled of its own modules, and read them anew at each start.
        '--v8-pool-size=1',
      ],
    },
  });
  chmodSync(output, 0o755);
  if (canRun(target)) {
    const printed = run(output, ['--version']);
    if (printed !== `tklbam-hooks ${version}\n`)
      throw new Error(`the executable answers --version with '${printed}'`);
  }
  copyFileSync(output, `${target.executable}.new`);
  renameSync(`${target.executable}.new`, target.executable);
} finally {
  rmSync(scratch, { recursive: true });
}

/** Before the injection: the executable no longer starts if it is stripped after. */
function strip(path: string): void {
  try {
    execFileSync(target.strip, ['--strip-all', path], { stdio: 'inherit' });
  } catch (error) {
    const task = target.native ? '' : ` ${target.debian}`;
    throw new Error(`cannot strip Node.js with ${target.strip}: run 'build/setup${task}'`, { cause: error });
  }
}

/** The parts of the bundle as functions, the first with the loader, and what V8 makes of each: by name, where pkg finds them. */
function makeAssets(base: string): Record<string, string> {
  const [, first, ...texts] = readFileSync('dist/tklbam-hooks.cjs', 'utf8').split(PART_MARK);
  const loader = texts.pop();
  const names = [`${first}${loader}`, ...texts].flatMap((text, number) => {
    const [name, cache] = [`part-${number}`, `part-${number}.cache`];
    writeFileSync(join(scratch, name), `((parts, readPart, require) => {${text}\n})`);
    makeCodeCache(base, join(scratch, name), join(scratch, cache));
    return [name, cache];
  });
  return Object.fromEntries(names.map(name => [name, `../${name}`]));
}

/** By the Node.js that will read it. */
function makeCodeCache(base: string, script: string, codeCache: string): void {
  if (!canRun(target)) {
    process.stderr.write(
      `build/package.ts: this machine cannot run programs for ${target.debian} ('build/setup ${target.debian}'): ` +
        'the executable is built without compiled code, and will start slower.\n',
    );
    // What V8 refuses, as start.cjs expects.
    writeFileSync(codeCache, '');
    return;
  }
  // --predictable: else it differs from build to build.
  run(base, ['--predictable', 'build/code-cache.cjs', script, codeCache]);
  const rejected = run(base, ['--print', READ_BACK, script, codeCache]);
  if (rejected !== 'false\n') throw new Error('V8 refuses the code cache that was made for it');
}

function run(program: string, args: readonly string[]): string {
  const [file = '', ...words] = [...target.emulator, program, ...args];
  return execFileSync(file, words, { encoding: 'utf8', env: { PATH: '/usr/bin:/bin' } });
}
