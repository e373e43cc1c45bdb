// How this very program is started again.

/** The words: the executable, or Node.js and the bundle. Its own name in argv is whatever the caller called it. */
export function ownWords(): readonly [string, ...string[]] {
  const isExecutable = process.getBuiltinModule('node:sea').isSea();
  return [process.execPath, ...(isExecutable ? [] : process.argv.slice(1, 2))];
}
