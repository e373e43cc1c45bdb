// node --predictable code-cache.cjs BUNDLE OUTPUT ARGUMENT…: runs the bundle with the arguments, and then writes what V8
// compiled for that, for build/start.cjs.
const { readFileSync, writeFileSync } = require('node:fs');
const { Script } = require('node:vm');

const [bundle, output] = process.argv.splice(2, 2);
const script = new Script(readFileSync(bundle, 'utf8'), { filename: 'tklbam-hooks.cjs' });
process.on('exit', () => writeFileSync(output, script.createCachedData()));
script.runInThisContext()(require);
