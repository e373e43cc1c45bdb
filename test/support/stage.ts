// What a session of a test needs: hooks that record what they are told, and places for its record and log.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { hooksDirectory, install, scratch } from './harness.ts';

/** A hooks directory with hooks that record what they are told, and the environment of a session with them. */
export interface Stage {
  readonly hooks: string;
  readonly state: string;
  readonly log: string;
  readonly env: Readonly<Record<string, string>>;
  /** "NAME STATE" of each that was told anything, in order. */
  readonly told: () => string[];
}

export function stage(t: TestContext, names: readonly string[] = ['a', 'b', 'c']): Stage {
  const hooks = hooksDirectory(t);
  const directory = scratch(t);
  for (const name of names) install(hooks, 'fail-on', name);
  const [state, log, record] = [join(directory, 'state'), join(directory, 'log'), join(directory, 'record')];
  const env = { TKLBAM_HOOKS: hooks, TKLBAM_HOOKS_STATE: state, TKLBAM_HOOKS_LOG: log, RECORD: record };
  const told = (): string[] =>
    existsSync(record) ? readFileSync(record, 'utf8').split('\n').filter(Boolean) : [];
  return { hooks, state, log, env, told };
}

export const states = (state: string, names: string): string[] => [...names].map(name => `${name} ${state}`);
/** What a session has left in the state directory. */
export const files = ({ state }: Stage): string[] => {
  const sessions = join(state, 'sessions');
  return existsSync(sessions)
    ? readdirSync(sessions)
        .filter(name => name !== 'CACHEDIR.TAG')
        .sort()
    : [];
};
export const logged = ({ log }: Stage): Record<string, unknown>[] =>
  readFileSync(log, 'utf8')
    .split('\n')
    .filter(Boolean)
    .map(line => JSON.parse(line));
