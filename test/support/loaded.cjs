// Goes before the program: writes what of Node.js it has loaded by its end, by name, into the file that LOADED names.
const { writeFileSync } = require('node:fs');

const before = new Set(process.moduleLoadList);
process.on('exit', () => {
  const loaded = process.moduleLoadList
    .filter(each => !before.has(each))
    .map(each => each.replace('NativeModule ', ''));
  writeFileSync(process.env.LOADED, loaded.join('\n'));
});
