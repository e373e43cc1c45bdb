// dist/tklbam-hooks.cjs: all of src, execa and mri in one CommonJS file, and the list of what went in.
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { build } from 'esbuild';

const { version } = JSON.parse(readFileSync('package.json', 'utf8'));

const { metafile } = await build({
  entryPoints: ['src/main.ts'],
  outfile: 'dist/tklbam-hooks.cjs',
  bundle: true,
  platform: 'node',
  target: 'node24',
  format: 'cjs',
  minify: true,
  // Function names in a stack trace: it is what a bug report shows.
  keepNames: true,
  legalComments: 'none',
  define: { VERSION: JSON.stringify(version) },
  metafile: true,
});
// build/deb.ts reads it, to ship the licences of what is in the bundle.
writeFileSync('dist/bundle.json', JSON.stringify(metafile));

const printed = execFileSync(process.execPath, ['dist/tklbam-hooks.cjs', '--version'], { encoding: 'utf8' });
if (printed !== `tklbam-hooks ${version}\n`)
  throw new Error(`the bundle answers --version with '${printed}'`);
