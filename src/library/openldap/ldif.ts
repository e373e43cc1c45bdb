// What slapcat(8) writes, as far as it matters here. Pure.

/** A database of slapd with files of its own. */
export interface Backend {
  /** As slapcat's -n has it. */
  readonly number: string;
  readonly suffix: string;
  readonly directory: string;
}

/** LDIF with each value in one line (RFC 2849: a line that begins with a blank goes on with the one before). */
export const unfold = (ldif: string): string => ldif.replaceAll('\n ', '');

/** Of the configuration, unfolded. */
export function backendsOf(config: string): Backend[] {
  return config.split(/\n\n+/).flatMap(entry => {
    const [, number] = /^dn: olcDatabase=\{(\d+)\}/m.exec(entry) ?? [];
    const [suffix, directory] = ['olcSuffix', 'olcDbDirectory'].map(name => firstValue(entry, name));
    return number === undefined || suffix === undefined || directory === undefined
      ? []
      : [{ number, suffix, directory: directory.replace(/(?<=.)\/+$/, '') }];
  });
}

/** The configuration with other directories for some of its databases, by number. */
export function withDirectories(config: string, directories: ReadonlyMap<string, string>): string {
  return config
    .split(/\n\n+/)
    .map(entry => {
      const [, number = ''] = /^dn: olcDatabase=\{(\d+)\}/m.exec(entry) ?? [];
      const directory = directories.get(number);
      return directory === undefined
        ? entry
        : entry.replace(/^olcDbDirectory:.*$/m, `olcDbDirectory: ${directory}`);
    })
    .join('\n\n');
}

/** The first one; two colons say that it is in base64. */
function firstValue(entry: string, name: string): string | undefined {
  const [, colons, value] = new RegExp(`^${name}(::?) (.*)$`, 'm').exec(entry) ?? [];
  if (value === undefined) return undefined;
  return colons === '::' ? Buffer.from(value, 'base64').toString() : value;
}
