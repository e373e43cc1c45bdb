// dist/tklbam-hooks: the bundle and Node.js in one executable, by pkg's SEA mode.
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join, resolve } from 'node:path';
import { Script } from 'node:vm';
import sea from '@yao-pkg/pkg/lib-es5/sea.js';

const { version, optionalDependencies } = JSON.parse(readFileSync('package.json', 'utf8'));
const nodePackage = `node-linux-${process.arch}`;
const nodeVersion = optionalDependencies[nodePackage];
if (process.version !== `v${nodeVersion}`) {
  throw new Error(
    `this is Node.js ${process.version}, and the executable is built with ${nodeVersion}: run 'npm run build'`,
  );
}

const scratch = mkdtempSync(resolve('dist/build-'));
try {
  const base = join(scratch, 'node');
  const output = join(scratch, 'tklbam-hooks');
  copyFileSync(`node_modules/${nodePackage}/bin/node`, base);
  strip(base);

  const bundle = join(scratch, 'bundle');
  const source = `(require => {${readFileSync('dist/tklbam-hooks.cjs', 'utf8')}\n})`;
  writeFileSync(bundle, source);
  const codeCache = join(scratch, 'code-cache');
  makeCodeCache(base, bundle, codeCache);
  const filename = 'tklbam-hooks.cjs';
  if (new Script(source, { filename, cachedData: readFileSync(codeCache) }).cachedDataRejected !== false)
    throw new Error('V8 refuses the code cache that was made for it');

  // pkg makes its own scratch directory in there, and Node.js reads the paths below from it: the first is part of the executable,
  // which must not depend on where it was built.
  process.env.TMPDIR = scratch;
  copyFileSync('build/start.cjs', join(scratch, 'start.cjs'));
  await sea.default('build/start.cjs', {
    nodePath: base,
    targets: [{ nodeRange: `node${nodeVersion}`, platform: 'linux', arch: process.arch, output }],
    seaConfig: {
      // @ts-expect-error: pkg hands all this to Node.js as it is, and does not know two of them.
      main: '../start.cjs',
      assets: { bundle: '../bundle', 'code-cache': '../code-cache' },
      disableExperimentalSEAWarning: true,
      // Of the caller's environment, NODE_OPTIONS would run code in our process, as root, and OPENSSL_CONF load it.
      execArgvExtension: 'none',
      execArgv: [
        '--openssl-config=/dev/null',
        '--no-warnings',
        // No debugger at SIGUSR1.
        '--disable-sigusr1',
        // No threads to compile with: they make no difference to so short a run, and one that may start few processes gets further.
        '--v8-pool-size=0',
      ],
    },
  });
  chmodSync(output, 0o755);
  const printed = execFileSync(output, ['--version'], { encoding: 'utf8' });
  if (printed !== `tklbam-hooks ${version}\n`)
    throw new Error(`the executable answers --version with '${printed}'`);
  copyFileSync(output, 'dist/tklbam-hooks.new');
  renameSync('dist/tklbam-hooks.new', 'dist/tklbam-hooks');
} finally {
  rmSync(scratch, { recursive: true });
}

/** Before the injection: the executable no longer starts if it is stripped after. */
function strip(path: string): void {
  try {
    execFileSync('strip', ['--strip-all', path], { stdio: 'inherit' });
  } catch (error) {
    throw new Error(`cannot strip ${nodePackage}: run 'build/setup'`, { cause: error });
  }
}

/** What V8 compiles in a run of one hook. By the Node.js that will read it: to cross-build, this machine must be able to run that. */
function makeCodeCache(base: string, bundle: string, codeCache: string): void {
  // Not a hook in here, which would be refused where the group of whoever builds can write to the work tree.
  const run = ['run', 'backup', 'pre', '--hooks', '/usr/bin', '--only', 'true', '--profile', scratch];
  // --predictable: else it differs from build to build.
  execFileSync(base, ['--predictable', 'build/code-cache.cjs', bundle, codeCache, ...run], { env: {} });
}
