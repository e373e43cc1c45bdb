// What settings, servers and tools of Redis say. Pure.
import type { Problem, Values } from '../hook.ts';

/** Of Redis, or of Valkey, which has split off from it. */
export interface Programs {
  readonly cli: string;
  readonly server: string;
  readonly service: string;
}

export function programsOf({ SERVICE }: Values, hasTool: (name: string) => boolean): Programs {
  const isValkey =
    SERVICE === undefined
      ? !hasTool('redis-server') && hasTool('valkey-server')
      : SERVICE.startsWith('valkey');
  const name = isValkey ? 'valkey' : 'redis';
  return { cli: `${name}-cli`, server: `${name}-server`, service: SERVICE ?? `${name}-server` };
}

/** For SERVER. */
export const addressRule = (value: string): string | undefined =>
  /^\/\S+$|^(?!-)[\w.-]+:\d{1,5}$|^\[[\da-f:.]+\]:\d{1,5}$/i.test(value)
    ? undefined
    : `is '${value}', and can only be HOST:PORT or the path of a socket`;

/** For redis-cli(1). */
export function addressArgs(server = '127.0.0.1:6379'): readonly string[] {
  if (server.startsWith('/')) return ['-s', server];
  const [, host = '', port = ''] = /^\[?(.*?)\]?:(\d+)$/.exec(server) ?? [];
  return ['-h', host, '-p', port];
}

/** Lines `name:value` of INFO. */
export const parseInfo = (text: string): ReadonlyMap<string, string> =>
  new Map([...text.matchAll(/^(\w+):(.*?)\r?$/gm)].map(([, name = '', value = '']) => [name, value]));

/** Lines of names and values in turn, as CONFIG GET answers. */
export function pairs(text: string): ReadonlyMap<string, string> {
  const lines = text.split('\n');
  return new Map(
    lines.flatMap((name, at): [string, string][] => (at % 2 === 0 ? [[name, lines[at + 1] ?? '']] : [])),
  );
}

/** How many keys there are in all databases, of INFO keyspace. */
export const keyCounts = (text: string): number =>
  [...text.matchAll(/^db\d+:keys=(\d+)/gm)].reduce((sum, [, keys]) => sum + Number(keys), 0);

/** What its files are called, in its directory. */
export interface Names {
  readonly rdb: string;
  readonly aof: string;
  /** Since Redis 7. */
  readonly aofDirectory: string | undefined;
}

/** Of a dump. */
export interface Facts {
  readonly keys: number;
  /** Those of them that go by themselves some day. */
  readonly expires: number;
}

/** Of redis-check-rdb(1). */
export function rdbSummary(text: string): Facts | Pick<Problem, 'reason'> {
  const number = (what: string): string | undefined =>
    new RegExp(`^\\[info\\] (\\d+) ${what}$`, 'm').exec(text)?.[1];
  const [keys, expires] = [number('keys read'), number('expires')];
  if (/RDB looks OK!/.test(text) && keys !== undefined && expires !== undefined)
    return { keys: Number(keys), expires: Number(expires) };
  const [, reason = ''] = /^--- RDB ERROR DETECTED ---\n(?:\[offset \d+\] )?(.*)$/m.exec(text) ?? [];
  return { reason };
}
