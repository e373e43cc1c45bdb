// node --predictable code-cache.cjs SCRIPT OUTPUT: what V8 makes of a part of the bundle, for build/start.cjs. All of it, compiled without
// being run: what a run would need depends on the machine that it is on.
const { readFileSync, writeFileSync } = require('node:fs');
const { setFlagsFromString } = require('node:v8');
const { Script } = require('node:vm');

const [source, output] = process.argv.splice(2, 2);
setFlagsFromString('--no-lazy');
const script = new Script(readFileSync(source, 'utf8'));
// V8 refuses a cache that was made under other flags than it is read under.
setFlagsFromString('--lazy');
writeFileSync(output, script.createCachedData());
