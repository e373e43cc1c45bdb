// dist/tklbam-hooks.cjs: all of src and execa in one CommonJS file, and the list of what went in. The file has parts, of which the executable
// reads and keeps compiled each by itself: most commands need the first alone.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { build, type Metafile, type Plugin, transform } from 'esbuild';
import { cutModule } from './execa-cut.ts';
import { PART_MARK } from './part-mark.ts';

const { version } = JSON.parse(readFileSync('package.json', 'utf8'));

/**
 * Modules that cost execa time at its start, for what a run of hooks hardly ever asks of it: stand-ins that load the real ones at their
 * first use. They have only the exports that execa imports; esbuild fails if it wants others.
 */
const deferred: Readonly<Record<string, string>> = {
  'human-signals': `export const signalsByName = new Proxy({}, {
    get: (_, name) => require('human-signals').signalsByName[name],
  });`,
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

const cutExeca: Plugin = {
  name: 'cut-execa',
  setup({ onLoad }) {
    onLoad({ filter: /\/node_modules\/execa\/lib\// }, ({ path }) => {
      const contents = cutModule(path);
      return contents === undefined ? undefined : { contents };
    });
  },
};

/** What each part begins with, beside all that these import statically. The last part has the rest. */
const PARTS: readonly (readonly string[])[] = [
  ['src/main.ts'],
  ['src/commands/list.ts'],
  ['src/commands/run.ts', 'node_modules/execa/index.js'],
  ['src/commands/session.ts', 'src/commands/wrap.ts', 'src/session/ahead.ts'],
  ['src/commands/history.ts', 'src/commands/status.ts'],
  [],
];

const { metafile, outputFiles } = await build({
  entryPoints: ['src/main.ts'],
  outdir: 'dist',
  write: false,
  bundle: true,
  splitting: true,
  platform: 'node',
  target: 'node24',
  // Not minified: a bug report shows names and lines of it, and the executable starts no slower.
  format: 'esm',
  legalComments: 'none',
  define: { VERSION: JSON.stringify(version) },
  plugins: [deferModules, importBuiltins, cutExeca],
  metafile: true,
});
mkdirSync('dist', { recursive: true });
// build/deb.ts reads it, to ship the licences of what is in the bundle.
writeFileSync('dist/bundle.json', JSON.stringify(metafile));

const chunks = new Map(outputFiles.map(({ path, text }) => [`./${basename(path)}`, text]));
const partOf = assign(metafile);
const parts = await Promise.all(
  PARTS.map(async (_, part) => {
    const names = [...chunks.keys()].filter(name => partOf[name] === part);
    const functions = await Promise.all(
      names.map(async name => `${JSON.stringify(name)}: ${await asFunction(name)},\n`),
    );
    return `\nparts[${part}] = {\n${functions.join('')}};\n`;
  }),
);
const LOADER = `
const partOf = ${JSON.stringify(partOf)};
const modules = {};
function load(name) {
  if (partOf[name] === undefined) return require(name);
  if (modules[name] === undefined) {
    modules[name] = { exports: {} };
    // In the executable, a part is read when it is wanted.
    parts[partOf[name]] ??= readPart(partOf[name]);
    parts[partOf[name]][name](modules[name], load);
  }
  return modules[name].exports;
}
load('./main.js');
`;
writeFileSync('dist/tklbam-hooks.cjs', ['const parts = [];\n', ...parts, LOADER].join(PART_MARK));

/** The first part that needs it, for each chunk of the bundle. */
function assign({ outputs }: Metafile): Record<string, number> {
  const found: Record<string, number> = {};
  const visit = (path: string, part: number): void => {
    const name = `./${basename(path)}`;
    if (found[name] !== undefined) return;
    found[name] = part;
    for (const each of outputs[path]?.imports ?? [])
      if (each.kind === 'import-statement') visit(each.path, part);
  };
  for (const [part, entries] of PARTS.entries())
    for (const [path, { entryPoint }] of Object.entries(outputs))
      if (part === PARTS.length - 1 || entries.includes(entryPoint ?? '')) visit(path, part);
  return found;
}

async function asFunction(name: string): Promise<string> {
  const { code } = await transform(chunks.get(name) ?? '', {
    format: 'cjs',
    platform: 'node',
    target: 'node24',
    supported: { 'dynamic-import': false },
  });
  return `(module, require) => {\n${code}}`;
}

const printed = execFileSync(process.execPath, ['dist/tklbam-hooks.cjs', '--version'], { encoding: 'utf8' });
if (printed !== `tklbam-hooks ${version}\n`)
  throw new Error(`the bundle answers --version with '${printed}'`);
