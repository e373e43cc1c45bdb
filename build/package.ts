// dist/tklbam-hooks: the bundle and Node.js in one executable, by pkg's SEA mode.
import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import sea from '@yao-pkg/pkg/lib-es5/sea.js';

const { version, optionalDependencies } = JSON.parse(readFileSync('package.json', 'utf8'));
const nodePackage = `node-linux-${process.arch}`;
const nodeVersion = optionalDependencies[nodePackage];
if (process.version !== `v${nodeVersion}`) {
  throw new Error(
    `this is Node.js ${process.version}, and the executable is built with ${nodeVersion}: run 'npm run build'`,
  );
}

const scratch = mkdtempSync(join(tmpdir(), 'tklbam-hooks-build-'));
try {
  const base = join(scratch, 'node');
  const output = join(scratch, 'tklbam-hooks');
  copyFileSync(`node_modules/${nodePackage}/bin/node`, base);
  // Before the injection: the executable no longer starts if it is stripped after.
  execFileSync('strip', ['--strip-all', base], { stdio: 'inherit' });
  await sea.default(resolve('dist/tklbam-hooks.cjs'), {
    nodePath: base,
    targets: [{ nodeRange: `node${nodeVersion}`, platform: 'linux', arch: process.arch, output }],
    seaConfig: {
      disableExperimentalSEAWarning: true,
      useCodeCache: true,
      // NODE_OPTIONS of the caller would run code in our process, as root.
      // @ts-expect-error: pkg hands it to Node.js as it is, and does not know it.
      execArgvExtension: 'none',
      execArgv: ['--no-warnings'],
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
