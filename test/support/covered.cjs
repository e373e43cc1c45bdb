// Goes before the program where coverage is measured: hooks are not to see that, and what a process has covered is not to be lost
// when it ends itself by a signal.
const { takeCoverage } = require('node:v8');

delete process.env.NODE_V8_COVERAGE;
const { kill } = process;
process.kill = (pid, signal) => {
  if (pid === process.pid) takeCoverage();
  return kill.call(process, pid, signal);
};
