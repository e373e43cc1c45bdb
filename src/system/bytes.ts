// Paths need not be UTF-8: where they are looked at, they are bytes, a character each (latin1). Pure.

/** The text of bytes; what is not UTF-8 becomes U+FFFD. */
export const decodeBytes = (bytes: string): string => Buffer.from(bytes, 'latin1').toString();

export const encodeBytes = (text: string): string => Buffer.from(text).toString('latin1');

const RAW_BYTE = /[\udc80-\udcff]/u;

/** Whether the text has bytes that are not UTF-8, a lone surrogate each (U+DC80 to U+DCFF), as Python's surrogateescape has them (PEP 383). */
export const hasRawBytes = (text: string): boolean => RAW_BYTE.test(text);

/** The bytes of a text that may have such. */
export const toBytes = (text: string): Buffer =>
  Buffer.concat(
    text
      .split(/([\udc80-\udcff])/u)
      .map(part => (hasRawBytes(part) ? Buffer.from([part.charCodeAt(0) & 0xff]) : Buffer.from(part))),
  );
