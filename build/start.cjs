// What the executable starts with: the parts of the bundle that are wanted, from what build/package.ts has compiled.
const { getRawAsset } = require('node:sea');
const { Script } = require('node:vm');

// Of the caller's environment, this would have Node.js write to a file of the caller's choice when we end.
if (process.env.NODE_V8_COVERAGE !== undefined) require('node:v8').stopCoverage();

// This would have it print what it starts hooks with, their environment too. What we ourselves say does not go this way.
if (process.env.NODE_DEBUG !== undefined) {
  const { Writable } = require('node:stream');
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  Object.defineProperty(process, 'stderr', { value: nowhere });
}

const parts = [];

function readPart(number) {
  const name = `part-${number}`;
  const script = new Script(Buffer.from(getRawAsset(name)).latin1Slice(), {
    filename: `tklbam-hooks.cjs ${name}`,
    // If V8 refuses it, for being of another version, it compiles anew.
    cachedData: Buffer.from(getRawAsset(`${name}.cache`)),
  });
  script.runInThisContext()(parts, readPart, require);
  return parts[number];
}

readPart(0);
