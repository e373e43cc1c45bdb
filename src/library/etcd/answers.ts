// What settings of `etcd` and etcdctl(1) say. Pure.

/** For ENDPOINT. */
export const endpointRule = (value: string): string | undefined =>
  /^(?:https?:\/\/)?(?!-)[\w.:[\]-]+:\d{1,5}$/.test(value)
    ? undefined
    : `is '${value}', and can only be HOST:PORT`;

export interface Member {
  readonly name: string;
  /** The URLs under which others of a cluster would find it. */
  readonly peers: readonly string[];
}

/** Of `member list` as JSON. */
export function membersOf(text: string): readonly Member[] | undefined {
  const found = parse(text);
  if (!isRecord(found) || !Array.isArray(found.members)) return undefined;
  const members = found.members.map((each: unknown): Member | undefined => {
    if (!isRecord(each) || typeof each.name !== 'string' || !Array.isArray(each.peerURLs)) return undefined;
    const peers = each.peerURLs.filter(url => typeof url === 'string');
    return { name: each.name, peers };
  });
  return members.every(each => each !== undefined) ? members : undefined;
}

/** Of `snapshot status` as JSON. */
export function revisionOf(text: string): string | undefined {
  const found = parse(text);
  return isRecord(found) && typeof found.revision === 'number' ? `${found.revision}` : undefined;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null;
