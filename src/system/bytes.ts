// Paths need not be UTF-8: where they are looked at, they are bytes, a character each (latin1). Pure.

/** The text of bytes; what is not UTF-8 becomes U+FFFD. */
export const decodeBytes = (bytes: string): string => Buffer.from(bytes, 'latin1').toString();

export const encodeBytes = (text: string): string => Buffer.from(text).toString('latin1');
