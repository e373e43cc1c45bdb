// What the executable starts with: the bundle, compiled from what build/package.ts kept of a run. To compile it anew takes 9 ms.
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

const script = new Script(Buffer.from(getRawAsset('bundle')).toString(), {
  filename: 'tklbam-hooks.cjs',
  // If V8 refuses it, for being of another version, it compiles anew.
  cachedData: Buffer.from(getRawAsset('code-cache')),
});
script.runInThisContext()(require);
