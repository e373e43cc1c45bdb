// manifest.json: which dumps there are, and what is known of them. It is the last to be written: without it there is no backup.
import { readFileSync, statSync } from 'node:fs';
import { replaceDurably } from '../../system/durable-file.ts';
import { attempt, describeErrno, errnoOf } from '../../system/errno.ts';
import type { Problem } from '../hook.ts';
import type { Entry, Facts } from './database.ts';
import { sha256 } from './sum.ts';

export interface Manifest {
  readonly format: 1;
  /** The hook that made it, and knows what to do with it. */
  readonly kind: string;
  /** As RFC 3339 has it. */
  readonly made: string;
  readonly server: string;
  /** The directory, beside the manifest, that holds the dumps. */
  readonly generation: string;
  readonly entries: readonly Entry[];
}

const NAME = 'manifest.json';

/** The manifest of the dumps in a directory, or why they are of no use. */
export function readManifest(directory: string, kind: string): Manifest | Problem {
  const path = `${directory}/${NAME}`;
  const useless = (reason: string): Problem => ({
    reason,
    remedy: 'take them from another backup, or disable this hook to restore without them',
  });
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    const why = errnoOf(error) === 'ENOENT' ? 'it has no manifest' : describeErrno(errnoOf(error));
    return useless(`there are no dumps in '${directory}': ${why}`);
  }
  const manifest = narrow(attempt(() => JSON.parse(text)));
  if (manifest === undefined) return useless(`'${path}' is damaged`);
  if (manifest.kind !== kind) return useless(`'${path}' is of the hook ${manifest.kind}, not of ${kind}`);
  return manifest;
}

export const writeManifest = (directory: string, manifest: Manifest): void =>
  replaceDurably(`${directory}/${NAME}`, () => `${JSON.stringify(manifest, undefined, 1)}\n`);

export const isManifest = (value: Manifest | Problem): value is Manifest => 'entries' in value;

export const dumpPath = (directory: string, { generation }: Manifest, { file }: Entry): string =>
  `${directory}/${generation}/${file}`;

/** What is not as the manifest says. `sizes` is the cheap half of it, `sums` reads all. */
export function dumpProblems(
  directory: string,
  manifest: Manifest,
  depth: 'sizes' | 'sums',
): readonly Problem[] {
  const problems: Problem[] = [];
  for (const entry of manifest.entries) {
    const path = dumpPath(directory, manifest, entry);
    const size = attempt(() => statSync(path))?.size;
    const reason =
      size === undefined
        ? 'is missing'
        : size !== entry.size
          ? `has ${size} bytes and not ${entry.size}`
          : depth === 'sums' && sha256(path) !== entry.sha256
            ? 'was changed'
            : undefined;
    if (reason !== undefined) {
      problems.push({
        reason: `the dump of ${entry.name} ${reason}: '${path}'`,
        remedy: 'take it from another backup',
      });
    }
  }
  return problems;
}

/** What comes out of a backup may be anything. */
function narrow(value: unknown): Manifest | undefined {
  if (!isRecord(value) || value.format !== 1 || !Array.isArray(value.entries)) return undefined;
  const { kind, made, server, generation } = value;
  if (typeof kind !== 'string' || typeof made !== 'string' || typeof server !== 'string') return undefined;
  if (!isFileName(generation)) return undefined;
  const entries = value.entries.map(narrowEntry);
  if (entries.length === 0 || !entries.every(entry => entry !== undefined)) return undefined;
  return { format: 1, kind, made, server, generation, entries };
}

/** Also of what a state file holds. */
export function narrowEntry(value: unknown): Entry | undefined {
  if (!isRecord(value)) return undefined;
  const { name, file, size, sha256: sum, facts } = value;
  if (typeof name !== 'string' || !isFileName(file) || typeof size !== 'number') return undefined;
  if (typeof sum !== 'string' || !isFacts(facts)) return undefined;
  return { name, file, size, sha256: sum, facts };
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null;

const isFacts = (value: unknown): value is Facts =>
  isRecord(value) && Object.values(value).every(each => typeof each === 'string');

/** Nothing that leads out of the directory. */
const isFileName = (value: unknown): value is string =>
  typeof value === 'string' && /^\w[\w.%-]*$/.test(value);
