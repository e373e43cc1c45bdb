// What of execa goes into the bundle: what starts a program with the caller's streams and waits for its end. Its other uses (pipes, IPC,
// transforms, iteration, verbose output, synchronous calls, templates) are three quarters of its code, which would be read at each start.

const nothing = '() => {}';
/** For what none of our options leads to. */
const never = `() => { throw new Error('this use of execa is not in the bundle: see build/execa-cut.ts'); }`;

/** By file of execa's `lib`: what stands in place of each of its exports. esbuild fails if another one is wanted. */
const CUTS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'convert/add.js': { addConvertedStreams: nothing },
  'io/contents.js': { getBufferedData: 'async promise => promise', getStreamOutput: never },
  'io/input-sync.js': { isSerializableInput: never, throwOnSerializableInput: never },
  'io/output-async.js': { pipeOutputAsync: nothing },
  'ipc/buffer-messages.js': {
    getBufferedIpcOutput: '(promise, output) => output',
    waitForIpcOutput: '({ ipcOutput }) => ipcOutput',
  },
  'ipc/ipc-input.js': { validateIpcInputOption: nothing, sendIpcInput: nothing },
  'ipc/methods.js': { addIpcMethods: nothing, getIpcExport: '() => ({})' },
  'ipc/outgoing.js': { setIpcSubprocessOptions: nothing },
  'methods/command.js': { parseCommandString: never },
  'methods/main-sync.js': { execaCoreSync: never },
  'methods/node.js': { handleNodeOption: '(...all) => all', mapNode: never },
  'methods/script.js': { mapScriptAsync: never, setScriptSync: nothing, deepScriptOptions: '{}' },
  'methods/template.js': { isTemplateString: '() => false', parseTemplates: never },
  'pipe/setup.js': { pipeToSubprocess: never },
  'resolve/all-async.js': { getAllFds: '() => []', makeAllStream: nothing, waitForAllStream: nothing },
  'stdio/native.js': { handleNativeStream: '({ stdioItem }) => stdioItem' },
  'stdio/direction.js': { getStreamDirection: "() => 'output'" },
  'terminate/cleanup.js': { cleanupOnExit: nothing },
  'terminate/graceful.js': { validateGracefulCancel: nothing, throwOnGracefulCancel: '() => []' },
  'transform/generator.js': { generatorToStream: never },
  'transform/normalize.js': { normalizeTransforms: 'items => items' },
  'transform/object-mode.js': { getFdObjectMode: '() => false' },
  // It opens all three, to compare them with what nobody passes.
  'utils/standard-stream.js': {
    isStandardStream: '() => false',
    STANDARD_STREAMS_ALIASES: "['stdin', 'stdout', 'stderr']",
    getStreamName: "number => 'stdio ' + number",
    setAllStream: never,
  },
  'verbose/complete.js': { logResult: nothing },
  'verbose/info.js': { getVerboseInfo: nothing },
  'verbose/start.js': { logCommand: nothing },
};

/** The text of a module of execa's that is left out; undefined for one that is not. `path` is absolute. */
export function cutModule(path: string): string | undefined {
  const [, name] = /\/node_modules\/execa\/lib\/(.+)$/.exec(path) ?? [];
  const cuts = CUTS[name ?? ''];
  return cuts === undefined
    ? undefined
    : Object.entries(cuts)
        .map(([key, value]) => `export const ${key} = ${value};\n`)
        .join('');
}
