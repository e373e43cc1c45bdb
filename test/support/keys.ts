// OpenPGP keys and signatures for the tests, made with gpg in a directory of their own.
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after } from 'node:test';
import { cacheDirectory } from './harness.ts';

export interface Keys {
  /** Holds `NAME.gpg` and `NAME.sig`. */
  readonly directory: string;
  /** GNUPGHOME of whoever signed: their private keys, and the public ones in a keybox. */
  readonly home: string;
  /** The path of a keyring. `armored` is `good` in ASCII; the others hold the key of their name. */
  readonly keyring: (name: string) => string;
  /** As gpgv names the key. */
  readonly id: (name: string) => string;
  /** A signature of the content, under the name that `SIGNATURES` has it. */
  readonly signature: (name: string) => Buffer;
}

const YEARS_AHEAD = ['--faked-system-time', '20370101T000000'];
/** On 2020-02-01, when all but one of the keys were good. */
const LONG_AGO = ['--faked-system-time', '20200201T000000'];
const AFTER = ['--faked-system-time', '20220201T000000'];

/** Whose each signature is, and with what options it was made. */
const SIGNATURES: Readonly<Record<string, readonly string[]>> = {
  binary: ['-u', 'good', '--detach-sign', ...LONG_AGO],
  armored: ['-u', 'good', '--detach-sign', '--armor'],
  text: ['-u', 'good', '--detach-sign', '--textmode'],
  inline: ['-u', 'good', '--sign'],
  clear: ['-u', 'good', '--clear-sign'],
  // From a machine whose clock is ahead, or ours is behind.
  future: ['-u', 'good', '--detach-sign', ...YEARS_AHEAD],
  // A day after its key, whose making takes a while.
  ahead: ['-u', 'ahead', '--detach-sign', '--faked-system-time', '20370102T000000'],
  brief: ['-u', 'good', '--detach-sign', '--default-sig-expire', '1d', ...LONG_AGO],
  subkey: ['-u', 'subkey', '--detach-sign'],
  other: ['-u', 'other', '--detach-sign', ...LONG_AGO],
  both: ['-u', 'good', '-u', 'other', '--detach-sign', ...LONG_AGO],
  sha1: ['-u', 'rsa', '--detach-sign', '--digest-algo', 'SHA1'],
  ripemd160: ['-u', 'rsa', '--detach-sign', '--digest-algo', 'RIPEMD160'],
  // By a key that certifies itself with SHA-1, as old ones do.
  old: ['-u', 'rsa', '--detach-sign', ...LONG_AGO],
  late: ['-u', 'late', '--detach-sign', ...AFTER],
  expired: ['-u', 'expired', '--detach-sign', ...LONG_AGO],
  revoked: ['-u', 'revoked', '--detach-sign', ...LONG_AGO],
};

/** Keys, and signatures of the content. They are gone after the tests of the file that calls it; no gpg-agent is left at once. */
export function makeKeys(content: string | Uint8Array): Keys {
  mkdirSync(cacheDirectory, { recursive: true, mode: 0o755 });
  const directory = mkdtempSync(join(cacheDirectory, 'keys-'));
  chmodSync(directory, 0o755);
  const remove = (): void => rmSync(directory, { recursive: true, force: true });
  after(remove);
  try {
    return fill(directory, content);
  } catch (error) {
    remove();
    throw error;
  }
}

function fill(directory: string, content: string | Uint8Array): Keys {
  const home = join(directory, 'gnupg');
  mkdirSync(home, { mode: 0o700 });
  const env = { PATH: '/usr/bin:/bin', LC_ALL: 'C', HOME: directory, GNUPGHOME: home };
  const call = (program: string, args: readonly string[]): Buffer =>
    execFileSync(program, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const gpg = (...args: readonly string[]): Buffer =>
    call('gpg', ['--batch', '--quiet', '--yes', '--pinentry-mode', 'loopback', '--passphrase', '', ...args]);
  const ofOld = ['--faked-system-time', '20200101T000000', '--quick-gen-key'];
  const file = (name: string): string => join(directory, name);
  const ids = new Map<string, string>();
  const signed = file('content');
  writeFileSync(signed, content);
  try {
    for (const name of ['good', 'other', 'revoked', 'late']) gpg(...ofOld, name, 'ed25519', 'sign', 'none');
    gpg('--cert-digest-algo', 'SHA1', ...ofOld, 'rsa', 'rsa2048', 'sign', 'none');
    gpg(...ofOld, 'expired', 'ed25519', 'sign', '1y');
    gpg(...ofOld, 'subkey', 'ed25519', 'cert', 'none');
    const fingerprint = (name: string): string =>
      /^fpr:+([0-9A-F]+):/m.exec(gpg('--with-colons', '--list-keys', name).toString())?.[1] ?? '';
    gpg(...YEARS_AHEAD, '--quick-gen-key', 'ahead', 'ed25519', 'sign', 'none');
    gpg('--quick-add-key', fingerprint('subkey'), 'ed25519', 'sign', 'none');
    for (const [name, options] of Object.entries(SIGNATURES)) {
      gpg(...options, '--output', file(`${name}.sig`), signed);
    }
    // It ends a year after that; its signature is younger.
    gpg('--faked-system-time', '20200301T000000', '--quick-set-expire', fingerprint('late'), '1y');
    // gpg keeps a certificate for the day of need, with a colon before its first line as a guard.
    const certificate = join(home, 'openpgp-revocs.d', `${fingerprint('revoked')}.rev`);
    writeFileSync(certificate, readFileSync(certificate, 'utf8').replace(/^:-----BEGIN/m, '-----BEGIN'));
    gpg('--import', certificate);
    for (const name of ['good', 'other', 'expired', 'revoked', 'subkey', 'ahead', 'rsa', 'late']) {
      gpg('--export', '--output', file(`${name}.gpg`), name);
      ids.set(name, fingerprint(name).slice(-16));
    }
    gpg('--export', '--armor', '--output', file('armored.gpg'), 'good');
  } finally {
    call('gpgconf', ['--kill', 'all']);
    call('gpgconf', ['--remove-socketdir']);
  }
  return {
    directory,
    home,
    keyring: name => file(`${name}.gpg`),
    id: name => ids.get(name) ?? '',
    signature: name => readFileSync(file(`${name}.sig`)),
  };
}
