// gpgv on one file, its detached signature and the keyrings. Not `gpg --verify`: that takes inline-signed text for a signature
// of whatever lies beside it, and trusts every key of the caller's own keyring.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { escapeControls } from '../cli/text.ts';
import { attempt } from '../system/errno.ts';
import { findProgram, searchPath } from '../system/which.ts';
import type { Candidate, Environment, Signature } from '../types.ts';
import { ancestorDirs } from './ancestors.ts';
import { findRefusal } from './judge.ts';

/** TurnKey's archive keys: where releases up to 17 put them, and where later ones do. */
const OLD_KEYRING = '/etc/apt/trusted.gpg.d/turnkey.gpg';
const KEYRINGS = '/usr/share/keyrings';

/** A detached signature has some hundred bytes for each key that made it. */
const MOST_BYTES = 64 * 1024;

/** The binary keyrings among TurnKey's: gpgv(1) reads no armored ones. */
function defaultKeyrings(): readonly string[] {
  const names = existsSync(KEYRINGS) ? readdirSync(KEYRINGS) : [];
  const current = names.filter(name => /^tkl-.*\.(?:gpg|pgp|kbx)$/.test(name)).sort();
  return [OLD_KEYRING, ...current.map(name => `${KEYRINGS}/${name}`)].filter(file => existsSync(file));
}

/**
 * Tells whether `NAME.sig` beside a hook is a detached signature of it by a key of the keyrings: absolute paths, or undefined for
 * TurnKey's. A keyring that others than root and `uid` can write to is worth nothing.
 */
export function verifier(
  keyrings: readonly string[] | undefined,
  env: Environment,
  uid: number,
): (hook: Candidate) => Signature {
  const files = keyrings ?? defaultKeyrings();
  const faults = files.map(file => keyringFault(file, uid));
  const fault = faults.find(each => each !== undefined);
  const gpgv = findProgram('gpgv', searchPath(env.PATH));
  return hook => {
    const signature = `${hook.path}.sig`;
    const stat = attempt(() => statSync(signature));
    if (stat === undefined) return { kind: 'no-signature' };
    if (!stat.isFile()) return bad('its signature is not a file');
    if (stat.size > MOST_BYTES) return bad('its signature is too large to be one');
    if (files.length === 0) return { kind: 'no-keyring' };
    if (fault !== undefined) return fault;
    return gpgv === undefined ? { kind: 'no-gpgv' } : verify(gpgv, files, signature, hook.path);
  };
}

function keyringFault(keyring: string, uid: number): Signature | undefined {
  const stat = attempt(() => statSync(keyring));
  if (stat === undefined) return { kind: 'no-keyring' };
  const shown = `the keyring '${escapeControls(keyring)}'`;
  // gpgv would wait for whoever writes to a FIFO.
  if (!stat.isFile()) return bad(`${shown} is not a file`, 'name a file');
  const facts = { uid: stat.uid, mode: stat.mode & 0o7777 };
  if (findRefusal(facts, ancestorDirs(Buffer.from(keyring).toString('latin1')), uid) !== undefined) {
    return bad(
      `others than root can write to ${shown}`,
      'chown root and chmod go-w it and the directories above it',
    );
  }
  const start = attempt(() => readFileSync(keyring, 'latin1').slice(0, 10));
  if (start === undefined) return bad(`${shown} cannot be read`, 'chmod a+r it');
  if (start === '-----BEGIN') {
    return bad(`${shown} is armored, which gpgv does not read`, 'gpg --dearmor it');
  }
  return undefined;
}

function verify(gpgv: string, keyrings: readonly string[], signature: string, file: string): Signature {
  const options = keyrings.flatMap(keyring => ['--keyring', keyring]);
  // A clock that is behind, which the hook fixclock is there to mend, must not turn good signatures into future ones.
  const args = ['--status-fd', '1', '--ignore-time-conflict', ...options, '--', signature, file];
  const { error, status, signal, stdout } = spawnSync(gpgv, args, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
    // Its own environment: the caller's GNUPGHOME is none of its business.
    env: { PATH: '/usr/bin:/bin', LC_ALL: 'C' },
    timeout: 60_000,
    killSignal: 'SIGKILL',
  });
  // Neither says anything of the signature.
  if (error !== undefined || signal !== null) {
    const code = error !== undefined && 'code' in error ? String(error.code) : signal;
    return bad(`gpgv could not check its signature (${code})`, 'try gpgv by hand');
  }
  return read(status, stdout);
}

/** What gpgv reports on its status descriptor (doc/DETAILS of GnuPG). Its exit status is 0 for an expired key too. */
export function read(status: number | null, report: string): Signature {
  const words = new Set(Array.from(report.matchAll(/^\[GNUPG:\] (\S+)/gm), ([, word]) => word));
  if (words.has('BADSIG')) return bad('its signature is of another file, or it was changed since');
  if (words.has('REVKEYSIG')) return bad('the key of its signature was revoked');
  if (words.has('EXPKEYSIG')) return bad('the key of its signature has expired');
  if (words.has('EXPSIG')) return bad('its signature has expired');
  if (words.has('NO_PUBKEY'))
    return bad(
      'its signature is by a key that is in none of the keyrings',
      'add the keyring that has the key, or have it signed anew',
    );
  // The ninth field of VALIDSIG is the class of the signature (RFC 9580, 5.2.1): one of text leaves open how its lines end, and a
  // carriage return is not the same to the kernel.
  if (/^\[GNUPG:\] VALIDSIG(?: \S+){8} 01\b/m.test(report)) {
    return bad('its signature was made for text, and leaves the line endings open');
  }
  if (status === 0 && words.has('GOODSIG') && words.has('VALIDSIG') && !words.has('ERRSIG'))
    return { kind: 'good' };
  return bad('its signature is damaged');
}

const bad = (reason: string, remedy = 'have it signed anew'): Signature => ({ kind: 'bad', reason, remedy });
