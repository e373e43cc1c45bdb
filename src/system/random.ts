// Names that nobody can guess. Not by node:crypto: with it the program would depend on OpenSSL, and on its security releases.
import { closeSync, openSync, readSync } from 'node:fs';

/** A number of bytes from the kernel's random(4), in hexadecimal. */
export function randomHex(bytes: number): string {
  const buffer = Buffer.alloc(bytes);
  const fd = openSync('/dev/urandom', 'r');
  try {
    readSync(fd, buffer);
  } finally {
    closeSync(fd);
  }
  return buffer.toString('hex');
}
