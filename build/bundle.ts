// dist/tklbam-hooks.cjs: all of src and execa in one CommonJS file, and the list of what went in.
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { build, type Plugin } from 'esbuild';

const { version } = JSON.parse(readFileSync('package.json', 'utf8'));

/**
 * Modules that cost execa milliseconds at its start, for what a run of hooks hardly ever asks of it: stand-ins that load the
 * real ones at their first use. They have only the exports that execa imports; esbuild fails if it wants others.
 */
const deferred: Readonly<Record<string, string>> = {
  figures: `export default new Proxy({}, { get: (_, name) => require('figures').default[name] });`,
  'human-signals': `export const signalsByName = new Proxy({}, {
    get: (_, name) => require('human-signals').signalsByName[name],
  });`,
  'node:v8': `export const serialize = value => require('node:v8').serialize(value);`,
};
const deferModules: Plugin = {
  name: 'defer-modules',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /./ }, ({ path, kind, resolveDir }) =>
      kind === 'import-statement' && Object.hasOwn(deferred, path)
        ? { path, namespace: 'deferred', pluginData: resolveDir }
        : undefined,
    );
    onLoad({ filter: /./, namespace: 'deferred' }, ({ path, pluginData }) => ({
      contents: deferred[path] ?? '',
      resolveDir: pluginData,
    }));
  },
};

/**
 * Built-in modules, with the exports that are used. Left to itself, esbuild makes a copy of all properties of `node:process` for
 * each file that imports it.
 */
const importBuiltins: Plugin = {
  name: 'import-builtins',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^node:/ }, ({ path, kind }) =>
      kind === 'import-statement'
        ? { path, namespace: 'builtin', sideEffects: false }
        : { path, external: true },
    );
    onLoad({ filter: /./, namespace: 'builtin' }, ({ path }) => {
      const names = Object.keys(process.getBuiltinModule(path) ?? {}).filter(
        name => /^[A-Za-z]\w*$/.test(name) && name !== 'default',
      );
      const exports = names.map(
        name => `const $${name} = /* @__PURE__ */ (() => builtin.${name})(); export { $${name} as ${name} };`,
      );
      return {
        contents: [`const builtin = require('${path}'); export default builtin;`, ...exports].join('\n'),
      };
    });
  },
};

const { metafile } = await build({
  entryPoints: ['src/main.ts'],
  outfile: 'dist/tklbam-hooks.cjs',
  bundle: true,
  platform: 'node',
  target: 'node24',
  // Not minified: a bug report shows names and lines of it, and the executable starts no slower.
  format: 'cjs',
  legalComments: 'none',
  define: { VERSION: JSON.stringify(version) },
  plugins: [deferModules, importBuiltins],
  metafile: true,
});
// build/deb.ts reads it, to ship the licences of what is in the bundle.
writeFileSync('dist/bundle.json', JSON.stringify(metafile));

const printed = execFileSync(process.execPath, ['dist/tklbam-hooks.cjs', '--version'], { encoding: 'utf8' });
if (printed !== `tklbam-hooks ${version}\n`)
  throw new Error(`the bundle answers --version with '${printed}'`);
