// least.cjs run|wrap|session DIRECTORY: what no runner of hooks in Node.js can leave out that keeps our promises, and nothing else. Each hook
// has a control group of its own, and the caller's limit of open files; `wrap` has the locks, the FIFO for what hooks say and the record too,
// and COMMAND is `true`; `session` is what tklbam asks for, in three states. No hook is judged, no signal is caught, nothing is told.
const { spawn, spawnSync } = require('node:child_process');
const fs = require('node:fs');

const [mode, directory] = process.argv.slice(2);
const names = fs.readdirSync(directory).sort();
const ended = child => new Promise(resolve => child.on('exit', resolve));
const quiet = { env: {}, stdio: 'ignore' };

const cgroups = fs
  .readFileSync('/proc/self/mountinfo', 'latin1')
  .match(/^(?:\S+ ){4}(\S+) .* - cgroup2 /m)[1];
const own = fs.readFileSync('/proc/self/cgroup', 'latin1').match(/^0::(.*)$/m)[1];
const home = `${cgroups}${own}`.replace(/\/$/, '');
const move = path => fs.writeFileSync(`${path}/cgroup.procs`, '0');

const softLimit = pid =>
  fs.readFileSync(`/proc/${pid}/limits`, 'latin1').match(/^Max open files\s+(\d+)/m)[1];
const restoreLimit = async () => {
  const theirs = softLimit(process.ppid);
  if (theirs === softLimit('self')) return;
  await ended(spawn('/usr/bin/prlimit', ['--pid', String(process.pid), `--nofile=${theirs}:`], quiet));
};

let count = 0;
const start = async (words, stderr, detached) => {
  const group = `${home}/least-${process.pid}-${++count}`;
  fs.mkdirSync(group);
  move(group);
  const stdio = ['inherit', 'inherit', stderr];
  const child = spawn(words[0], words.slice(1), { stdio, detached });
  move(home);
  await ended(child);
  fs.rmdirSync(group);
};

const sync = path => {
  const fd = fs.openSync(path, 'r');
  fs.fsyncSync(fd);
  fs.closeSync(fd);
};

const run = async () => {
  await restoreLimit();
  for (const name of names) await start([`${directory}/${name}`, 'backup', 'pre'], 'inherit', true);
};

const session = async (states, command) => {
  const state = fs.mkdtempSync('/bench/least-');
  const [record, fifo] = [`${state}/record`, `${state}/fifo`];
  const locks = ['a', 'b'].map(name => fs.openSync(`${state}/${name}`, 'w'));
  spawnSync('/bin/sh', ['-c', '/usr/bin/flock 3 && exec /usr/bin/flock 4'], {
    env: {},
    stdio: ['ignore', 'ignore', 'ignore', ...locks],
  });
  const ready = [restoreLimit(), ended(spawn('/usr/bin/mkfifo', [fifo], quiet))];
  fs.writeFileSync(record, '{}\n', { flush: true });
  sync(state);
  await Promise.all(ready);
  const reader = fs.openSync(fifo, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
  const stderr = fs.openSync(fifo, 'w');
  for (const state of states) {
    for (const name of names) {
      // In the first one, each is in the record before it starts.
      if (state === 'pre') fs.appendFileSync(record, '{}\n', { flush: true });
      await start([`${directory}/${name}`, 'backup', state], stderr, true);
    }
    if (state === 'pre') await command();
  }
  fs.writeFileSync(`${state}/log`, '{}\n', { flush: true });
  fs.unlinkSync(record);
  sync(state);
  const status = fs.openSync(state, 'r');
  spawnSync('/usr/bin/flock', ['3'], { env: {}, stdio: ['ignore', 'ignore', 'ignore', status] });
  fs.writeFileSync(`${state}/status`, '{}\n', { flush: true });
  sync(state);
  fs.closeSync(reader);
};

const runTrue = () => start(['/usr/bin/setpriv', '--pdeathsig', 'TERM', '/bin/true'], 'inherit', false);
const modes = {
  run,
  wrap: () => session(['pre', 'post'], runTrue),
  session: () => session(['pre', 'inspect', 'post'], () => undefined),
};
modes[mode]().then(() => process.exit(0));
