// What the operation is to see in place of the live files: the lines of TKLBAM_HOOK_VIEW, and in which order that is mounted. Pure.
import { escapeControls } from '../cli/text.ts';
import { decodeOctal } from '../system/mounts.ts';
import type { Sight, ViewEntry } from '../types.ts';

/** What is wrong with what a hook asked for: a line that names it, with the remedy. */
export interface ViewFault {
  /** File name of the hook. */
  readonly hook: string;
  readonly error: string;
}

const FORMS = "it is 'snapshot FSTYPE SOURCE TARGET OPTIONS' or 'live PATH', blanks escaped as in fstab(5)";

/** What a hook wrote, line by line. Words are escaped as in fstab(5). */
export function parseView(hook: string, text: string): readonly ViewEntry[] | ViewFault {
  const entries: ViewEntry[] = [];
  for (const [index, line] of text.split('\n').entries()) {
    const words = line.split(/[ \t]+/).filter(word => word !== '');
    if (words.length === 0) continue;
    const entry = { hook, line: index + 1 };
    const fault = (why: string, remedy: string): ViewFault => faultOf(entry, why, remedy);
    const [kind, ...rest] = words.map(decodeOctal);
    if (/[\0\ufffd]/.test(line)) return fault('it is not UTF-8', 'name another directory');
    if (kind === 'snapshot' && rest.length === 4) {
      const [fstype = '', source = '', target = '', options = ''] = rest;
      if (!/^[a-z][\w.-]*$/.test(fstype)) return fault(`'${fstype}' is no type of file system`, FORMS);
      if (source.startsWith('-')) return fault(`'${source}' is no device`, FORMS);
      const path = pathFault(target);
      if (path !== undefined) return fault(...path);
      if (options.startsWith('-')) return fault(`'${options}' are no options`, FORMS);
      if (!options.split(',').includes('ro')) {
        const why = 'OPTIONS without ro: what the operation wrote there would be lost';
        return fault(why, "add ro, and a line 'live PATH' for what it writes to");
      }
      entries.push({ kind, fstype, source, path: target, options, ...entry });
    } else if (kind === 'live' && rest.length === 1) {
      const [path = ''] = rest;
      const why = pathFault(path);
      if (why !== undefined) return fault(...why);
      entries.push({ kind, path, ...entry });
    } else {
      const what =
        kind === 'snapshot' || kind === 'live' ? `${words.length} words` : `it begins with '${kind}'`;
      return fault(what, FORMS);
    }
  }
  return entries;
}

const pathFault = (path: string): [string, string] | undefined =>
  /^\/(?:[^/]+(?:\/[^/]+)*)?$/.test(path) && !/(?:^|\/)\.\.?(?:\/|$)/.test(path)
    ? undefined
    : [
        `'${path}' is no absolute path without '.', '..' and needless slashes`,
        'write it as realpath(1) does',
      ];

export const faultOf = (
  { hook, line }: { readonly hook: string; readonly line: number },
  why: string,
  remedy: string,
): ViewFault => ({
  hook,
  error: escapeControls(`the view that hook '${hook}' asks for, line ${line}: ${why} (${remedy})`),
});

/** What the lines of all hooks lack together; undefined if nothing. */
export function findViewFault(entries: readonly ViewEntry[], sight: Sight): ViewFault | undefined {
  const targets = entries.filter(({ kind }) => kind === 'snapshot');
  for (const [index, entry] of entries.entries()) {
    const same = entries.slice(0, index).find(({ path }) => path === entry.path);
    // What two hooks want to be live is live.
    if (same !== undefined && (same.kind === 'snapshot' || entry.kind === 'snapshot')) {
      const why = `line ${same.line} of hook '${same.hook}' is about '${entry.path}' too`;
      return faultOf(entry, why, 'one of the two has to go');
    }
    if (entry.kind === 'live' && !targets.some(({ path }) => isBelow(entry.path, path)))
      return faultOf(entry, `'${entry.path}' is in no volume that is frozen`, 'it is live without the line');
    if (entry.path === '/' && entry.kind === 'snapshot' && sight === 'below-root') {
      const why = "'/' cannot be shown to tklbam, which makes and removes /TKLBAM there";
      return faultOf(entry, why, "leave '/' out, or back up by 'tklbam-hooks wrap'");
    }
  }
  return undefined;
}

/** A mount. Those of the live tree bring along what is mounted below them. */
export type ViewStep =
  | Extract<ViewEntry, { kind: 'snapshot' }>
  | { readonly kind: 'live'; readonly path: string; readonly asked: ViewEntry | undefined };

/** Outer before inner: what is mounted below a frozen volume now, and is not frozen itself, is seen through it. */
export function planView(entries: readonly ViewEntry[], mountPoints: readonly string[]): readonly ViewStep[] {
  const asked = new Map(entries.map(entry => [entry.path, entry]));
  const paths = [...new Set([...asked.keys(), ...mountPoints])].sort(
    (a, b) => depth(a) - depth(b) || (a < b ? -1 : 1),
  );
  const steps: ViewStep[] = [];
  for (const path of paths) {
    const entry = asked.get(path);
    if (entry?.kind === 'snapshot') steps.push(entry);
    // The last that is around it is the nearest: the order is by depth.
    else if (steps.findLast(step => isBelow(path, step.path))?.kind === 'snapshot')
      steps.push({ kind: 'live', path, asked: entry });
  }
  return steps;
}

const depth = (path: string): number => path.split('/').filter(Boolean).length;

const isBelow = (path: string, above: string): boolean =>
  path !== above && path.startsWith(above === '/' ? '/' : `${above}/`);
