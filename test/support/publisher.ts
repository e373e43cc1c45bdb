// A web server that is an apt repository of ours.
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import {
  copyFileSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';
import { deb, repack, version } from './debs.ts';
import { place, scratch } from './harness.ts';
import { installationLines } from './readme.ts';
import { repository } from './repository.ts';

export const LAST = '1.1.0';
interface Publisher {
  readonly directory: string;
  /** Makes the repository anew. Without options: of both versions, signed by the first key, now. */
  readonly publish: (options?: Edition) => void;
}
interface Edition {
  readonly versions?: readonly string[];
  readonly keys?: readonly string[];
  /** When, in seconds. */
  readonly epoch?: number;
}

/** The repository, on a web server, with the package, others of its version, and the one before it: as that was, but for its age the same. */
export async function openPublisher(t: TestContext, others: readonly string[] = []): Promise<Publisher> {
  const base = scratch(t);
  const directory = join(base, 'public');
  mkdirSync(directory);
  const sources = (number: string): string => join(base, `source-${number}`);
  for (const number of [LAST, version]) {
    const source = sources(number);
    mkdirSync(join(source, 'dist'), { recursive: true });
    cpSync(join(repository, 'packaging/debian'), join(source, 'packaging/debian'), { recursive: true });
    place(source, 'package.json', JSON.stringify({ name: 'tklbam-hooks', version: number }));
    const product = join(source, 'dist', basename(deb).replace(version, number));
    if (number === version) copyFileSync(deb, product);
    else repack(deb, product, makeOlder);
    if (number === version)
      for (const other of others) copyFileSync(other, join(source, 'dist', basename(other)));
  }
  const gnupg = join(base, 'gnupg');
  mkdirSync(gnupg, { mode: 0o700 });
  const env = { ...process.env, GNUPGHOME: gnupg };
  for (const key of ['first', 'second']) {
    const make = [
      '--batch',
      '--quiet',
      '--passphrase',
      '',
      '--quick-generate-key',
      key,
      'ed25519',
      'sign',
      'never',
    ];
    execFileSync('gpg', make, { env, stdio: 'pipe' });
  }
  t.after(() => spawnSync('gpgconf', ['--kill', 'all'], { env }));

  const server = spawn('python3', ['-u', '-m', 'http.server', '0', '--bind', '127.0.0.1'], {
    cwd: directory,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  t.after(() => server.kill());
  let port = '';
  for await (const line of createInterface(server.stdout)) {
    port = /port (\d+)/.exec(line)?.[1] ?? '';
    break;
  }
  const url = `http://127.0.0.1:${port}`;
  const publish = ({ versions = [LAST, version], keys = ['first'], epoch }: Edition = {}): void => {
    for (const each of readdirSync(directory)) rmSync(join(directory, each), { recursive: true });
    for (const number of versions) {
      const { status, stderr } = runRepository(
        sources(number),
        [directory, '--url', url, ...keys.flatMap(key => ['--key', key])],
        epoch === undefined ? env : { ...env, SOURCE_DATE_EPOCH: String(epoch) },
      );
      assert.equal(status, 0, stderr);
    }
  };
  return { directory, publish };
}

export const runRepository = (cwd: string, args: readonly string[], env: NodeJS.ProcessEnv) =>
  spawnSync(process.execPath, [join(repository, 'build/repository.ts'), ...args], {
    cwd,
    env,
    encoding: 'utf8',
  });

/** With its unit where it was. */
function makeOlder(tree: string): void {
  const control = join(tree, 'DEBIAN/control');
  writeFileSync(control, readFileSync(control, 'utf8').replace(/^Version: .*/m, `Version: ${LAST}`));
  mkdirSync(join(tree, 'lib'));
  renameSync(join(tree, 'usr/lib/systemd'), join(tree, 'lib/systemd'));
}

/** Of the web server. */
export function addressOf(directory: string): string {
  const sources = readFileSync(join(directory, 'bookworm/tklbam-hooks.sources'), 'utf8');
  const [, address] = /^URIs: (.*)$/m.exec(sources) ?? [];
  if (address === undefined) throw new Error(`no address in ${sources}`);
  return address;
}

/** README's lines for the administrator, with an address in place of the one there. */
export function fromReadme(url: string): string {
  return installationLines()
    .join('\n')
    .replaceAll('https://apt.example.com', url)
    .replaceAll('apt install', 'apt-get install -y -qq');
}
