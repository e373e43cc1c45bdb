// A guardian that hooks.py starts while tklbam still reads its own modules: it is ready before it is needed, and waits to be told what it is.
import type { Socket } from 'node:net';
import { parseDescriptor } from '../cli/parse.ts';
import { AHEAD } from '../run/errands.ts';
import { adoptStream } from '../system/descriptors.ts';
import { attempt } from '../system/errno.ts';
import { isObject, isStrings } from '../system/json.ts';
import type { Environment } from '../types.ts';
import { openSocket } from './control.ts';

/** Whoever asks later has to start another one: not every tklbam-backup has hooks to run, and an upload takes hours. */
const PATIENCE_MS = 60_000;

interface Orders {
  readonly argv: readonly string[];
  readonly env: Environment;
  /** Output streams that are others by now than those that it was started with. */
  readonly streams: readonly (1 | 2)[];
}

/**
 * Waits for the arguments, environment, directory and streams that it would have, had the caller started it only then, and takes them. False
 * if it is not wanted any more, or cannot be that. Throws UsageError for a descriptor that is no connected stream socket.
 */
export async function becomeWanted(descriptor: string): Promise<boolean> {
  const orders = parseOrders(await readLine(openSocket(AHEAD, parseDescriptor(AHEAD, descriptor))));
  if (orders === undefined) return false;
  const { ppid } = process;
  if (!orders.streams.every(each => adoptStream(ppid, each))) return false;
  // As for any program that is started in a directory that was removed.
  attempt(() => process.chdir(`/proc/${ppid}/cwd`));
  process.argv.splice(2, Number.POSITIVE_INFINITY, ...orders.argv);
  for (const name of Object.keys(process.env)) delete process.env[name];
  Object.assign(process.env, orders.env);
  return true;
}

/** What comes until the line ends; undefined if none does. */
async function readLine(socket: Socket): Promise<string | undefined> {
  const timer = setTimeout(() => socket.destroy(), PATIENCE_MS);
  const parts: Buffer[] = [];
  try {
    for await (const part of socket) {
      parts.push(part);
      if (part.at(-1) === 0x0a) return Buffer.concat(parts).toString();
    }
  } catch {
    // Nobody is there any more.
  } finally {
    clearTimeout(timer);
    socket.destroy();
  }
  return undefined;
}

/** Pure. What is not UTF-8 becomes what it is for any program of Node.js. */
function parseOrders(line: string | undefined): Orders | undefined {
  const found: unknown = attempt(() => JSON.parse(line ?? ''));
  if (!isObject(found)) return undefined;
  const { argv, env, streams } = found;
  if (!isStrings(argv) || !isObject(env) || !isStrings(Object.values(env)) || !Array.isArray(streams))
    return undefined;
  return {
    argv: argv.map(each => each.toWellFormed()),
    env: Object.fromEntries(
      Object.entries(env).map(([name, value]) => [name.toWellFormed(), String(value).toWellFormed()]),
    ),
    streams: streams.filter(each => each === 1 || each === 2),
  };
}
