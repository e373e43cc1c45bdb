// spawn.cjs DIRECTORY: starts all hooks of it, one after the other, and nothing else.
const { spawn } = require('node:child_process');
const { readdirSync } = require('node:fs');

const directory = process.argv[2];
const names = readdirSync(directory).sort();
const next = () => {
  const name = names.shift();
  if (name === undefined) process.exit(0);
  spawn(`${directory}/${name}`, ['backup', 'pre'], { stdio: 'inherit', detached: true }).on('exit', next);
};
next();
