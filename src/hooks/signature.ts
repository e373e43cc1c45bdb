// gpgv on one file, its detached signature and the keyrings. Not `gpg --verify`: that takes inline-signed text for a signature
// of whatever lies beside it, and trusts every key of the caller's own keyring.
import { spawnSync } from 'node:child_process';
import { closeSync, constants, existsSync, fstatSync, openSync, readdirSync, readSync } from 'node:fs';
import { escapeControls } from '../cli/text.ts';
import { encodeBytes } from '../system/bytes.ts';
import { attempt } from '../system/errno.ts';
import { resolvePath } from '../system/resolve.ts';
import { findRefusal } from '../system/trust.ts';
import { findHelper, HELPER_ENV } from '../system/which.ts';
import type { Candidate, Signature } from '../types.ts';

/** TurnKey's archive keys: where releases up to 17 put them, and where later ones do. */
const OLD_KEYRING = '/etc/apt/trusted.gpg.d/turnkey.gpg';
const KEYRINGS = '/usr/share/keyrings';

/** A detached signature has some hundred bytes for each key that made it. */
const MOST_BYTES = 64 * 1024;

/** The binary keyrings among TurnKey's: gpgv(1) reads no armored ones. */
function defaultKeyrings(): readonly string[] {
  const names = attempt(() => readdirSync(KEYRINGS)) ?? [];
  const current = names.filter(name => /^tkl-.*\.(?:gpg|pgp|kbx)$/.test(name)).sort();
  return [OLD_KEYRING, ...current.map(name => `${KEYRINGS}/${name}`)].filter(file => existsSync(file));
}

/**
 * Tells whether `NAME.sig` beside a hook is a detached signature of it by a key of the keyrings: absolute paths, or undefined for
 * TurnKey's. A keyring that others than root and `uid` can write to is worth nothing.
 */
export function verifier(
  keyrings: readonly string[] | undefined,
  uid: number,
): (hook: Candidate) => Signature {
  const files = keyrings ?? defaultKeyrings();
  const fault = files.map(file => keyringFault(file, uid)).find(each => each !== undefined);
  const gpgv = findHelper('gpgv');
  return hook => {
    const signature = readSignature(`${hook.path}.sig`);
    if (!Buffer.isBuffer(signature)) return signature;
    if (files.length === 0) return { kind: 'no-keyring' };
    if (fault !== undefined) return fault;
    return gpgv === undefined ? { kind: 'no-gpgv' } : verify(gpgv, files, signature, hook.path);
  };
}

/** Reads a file once for gpgv: a link that gpgv followed itself might lead to a FIFO by then, which it would wait for. */
function readSignature(path: string): Buffer | Signature {
  const { file, ancestorDirs } = resolvePath(encodeBytes(path));
  if (ancestorDirs.some(directory => 'mountedBy' in directory)) {
    return bad('its signature is in a file system that a user mounted');
  }
  if ('error' in file) return { kind: 'no-signature' };
  if (file.type !== 'file') return bad('its signature is not a file');
  const bytes = attempt(() => {
    const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
    try {
      const buffer = Buffer.alloc(MOST_BYTES + 1);
      return fstatSync(fd).isFile() ? buffer.subarray(0, readSync(fd, buffer)) : undefined;
    } finally {
      closeSync(fd);
    }
  });
  if (bytes === undefined) return bad('its signature cannot be read');
  return bytes.length > MOST_BYTES ? bad('its signature is too large to be one') : bytes;
}

function keyringFault(keyring: string, uid: number): Signature | undefined {
  const { file, ancestorDirs } = resolvePath(encodeBytes(keyring));
  const shown = `the keyring '${escapeControls(keyring)}'`;
  const refusal = findRefusal('error' in file ? undefined : file, ancestorDirs, uid);
  if (refusal?.kind !== 'user-mount') {
    if ('error' in file) return { kind: 'no-keyring' };
    // gpgv would wait for whoever writes to a FIFO.
    if (file.type !== 'file') return bad(`${shown} is not a file`, 'name a file');
  }
  if (refusal !== undefined) {
    return bad(
      `others than root can write to ${shown}`,
      'chown root and chmod go-w it and the directories above it',
    );
  }
  const start = attempt(() => {
    const fd = openSync(keyring, 'r');
    try {
      const buffer = Buffer.alloc(10);
      return buffer.toString('latin1', 0, readSync(fd, buffer));
    } finally {
      closeSync(fd);
    }
  });
  if (start === undefined) return bad(`${shown} cannot be read`, 'chmod a+r it');
  if (start === '-----BEGIN') {
    return bad(`${shown} is armored, which gpgv does not read`, 'gpg --dearmor it');
  }
  return undefined;
}

function verify(gpgv: string, keyrings: readonly string[], signature: Buffer, file: string): Signature {
  const options = keyrings.flatMap(keyring => ['--keyring', keyring]);
  // A clock that is behind, which the hook fixclock is there to mend, must not turn good signatures into future ones.
  const args = ['--status-fd', '1', '--ignore-time-conflict', ...options, '--', '-', file];
  const { error, status, signal, stdout } = spawnSync(gpgv, args, {
    cwd: '/',
    encoding: 'utf8',
    input: signature,
    stdio: ['pipe', 'pipe', 'ignore'],
    env: HELPER_ENV,
    timeout: 60_000,
    killSignal: 'SIGKILL',
  });
  // EPIPE: gpgv need not read all that it is sent. Any other error, or a signal, says nothing of the signature.
  const code = signal ?? (error !== undefined && 'code' in error ? String(error.code) : null);
  if (code !== null && code !== 'EPIPE') {
    return bad(`gpgv could not check its signature (${code})`, 'try gpgv by hand');
  }
  return read(status, stdout);
}

/** Digests of RFC 9580, 9.5, that can be forged: MD5, SHA-1, RIPEMD-160. `gpgv --weak-digest` would turn down keys that certify so, too. */
const WEAK_DIGESTS: Readonly<Record<string, string>> = { 1: 'MD5', 2: 'SHA-1', 3: 'RIPEMD-160' };

/** What gpgv reports on its status descriptor (doc/DETAILS of GnuPG). Its exit status is 0 for an expired key too. */
export function read(status: number | null, report: string): Signature {
  const lines = Array.from(report.matchAll(/^\[GNUPG:\] (\S+) ?(.*)$/gm), ([, word = '', rest = '']) => ({
    word,
    fields: rest.split(' '),
  }));
  const of = (word: string) => lines.filter(line => line.word === word).map(({ fields }) => fields);
  const has = (word: string): boolean => of(word).length > 0;
  if (has('BADSIG')) return bad('its signature is of another file, or it was changed since');
  if (has('REVKEYSIG')) return bad('the key of its signature was revoked');
  if (has('EXPSIG')) return bad('its signature has expired');
  const [unknown] = of('NO_PUBKEY');
  if (unknown !== undefined) {
    const [id = ''] = unknown;
    const made = of('ERRSIG').find(([key]) => key === id)?.[4];
    return { kind: 'unknown-key', key: { id, date: dateOf(made) } };
  }
  // Of VALIDSIG the third field is when it was made, the eighth its digest, and the ninth its class (RFC 9580, 5.2.1): one of text leaves
  // open how its lines end, and a carriage return is not the same to the kernel.
  const valid = of('VALIDSIG');
  if (valid.some(fields => fields[8] === '01')) {
    return bad('its signature was made for text, and leaves the line endings open');
  }
  const weak = valid.map(fields => WEAK_DIGESTS[fields[7] ?? '']).find(name => name !== undefined);
  if (weak !== undefined) return bad(`its signature is over ${weak}, which can be forged`);
  if (status !== 0 || valid.length === 0 || has('ERRSIG')) return bad('its signature is damaged');
  const [expired] = of('EXPKEYSIG');
  if (expired === undefined) return has('GOODSIG') ? { kind: 'good' } : bad('its signature is damaged');
  const ends = of('KEYEXPIRED').map(([time]) => seconds(time));
  const isOlder = valid.every(fields => ends.length > 0 && ends.every(end => seconds(fields[2]) < end));
  if (!isOlder) return bad('its signature was made after its key had expired');
  return { kind: 'expired-key', key: { id: expired[0] ?? '', date: dateOf(of('KEYEXPIRED')[0]?.[0]) } };
}

/** In s since 1970, which gpgv may also write as ISO 8601; what is neither is no time, and is not before any. */
function seconds(time: string | undefined): number {
  const [, date, hours, minutes, rest] = /^(\d{4}\d{4})T(\d\d)(\d\d)(\d\d)/.exec(time ?? '') ?? [];
  if (date === undefined) return Number(time);
  return Date.parse(`${date.replace(/(..)(..)$/, '-$1-$2')}T${hours}:${minutes}:${rest}Z`) / 1000;
}

/** A date as `date -u +%F` prints it; empty for what is no time. */
function dateOf(time: string | undefined): string {
  const ms = seconds(time) * 1000;
  return time !== undefined && Math.abs(ms) < 8.64e15 ? new Date(ms).toISOString().slice(0, 10) : '';
}

const bad = (reason: string, remedy = 'have it signed anew'): Signature => ({ kind: 'bad', reason, remedy });
