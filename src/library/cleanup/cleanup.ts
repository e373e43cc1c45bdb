// `cleanup`: what is old goes from directories of temporary files before a backup, which need not carry it. systemd-tmpfiles(8) removes
// it, since it follows no link and crosses no mount, whoever swaps a directory for one meanwhile.
import { lstatSync, realpathSync } from 'node:fs';
import { dirname } from 'node:path';
import { escapeControls } from '../../cli/text.ts';
import { describePathRefusal } from '../../report/verdicts.ts';
import { encodeBytes } from '../../system/bytes.ts';
import { describeErrno, errnoOf } from '../../system/errno.ts';
import { resolvePath } from '../../system/resolve.ts';
import { findRefusal } from '../../system/trust.ts';
import type { Context, LibraryHook, Problem } from '../hook.ts';
import { hasTool, run as runProgram, runTool } from '../tool.ts';
import {
  cleanRule,
  type Directory,
  directoriesOf,
  pathLack,
  systemdVersion,
  tmpfilesLines,
  wantsApt,
} from './directories.ts';

export const cleanup: LibraryHook = {
  settings: { CLEAN: cleanRule },
  needs: 'CLEAN',
  run: async ({ operation, state }, context) =>
    operation === 'backup' && state === 'pre' ? (clean(context) ? 0 : 1) : 0,
  check: async ({ CLEAN }) => {
    const { problems, missing } = survey(CLEAN);
    return [
      ...problems,
      ...missing.map(({ path }) => ({ reason: `there is no directory '${path}'`, remedy: 'correct CLEAN' })),
    ];
  },
};

/** Of systemd, that have been tried: 247 has neither, 252 the first alone. */
const KNOWS_AGE_BY = 252;
const HAS_DRY_RUN = 256;

function clean({ values, isSimulated, tell }: Context): boolean {
  const { problems, missing, byUser } = survey(values.CLEAN);
  for (const { reason, remedy } of problems) tell(`${reason}, not cleaned (${remedy})`);
  for (const { path } of missing) tell(`there is no directory '${path}', nothing to clean there`);
  const failures = [...byUser].flatMap(([user, directories]) =>
    cleanAs(user, directories, isSimulated, tell),
  );
  if (wantsApt(values.CLEAN)) failures.push(...cleanApt(isSimulated, tell));
  for (const failure of failures) tell(failure);
  return problems.length === 0 && failures.length === 0;
}

interface Survey {
  readonly problems: readonly Problem[];
  readonly missing: readonly Directory[];
  /** Those that can be cleaned, by the name of who is to do it; undefined is we ourselves. */
  readonly byUser: ReadonlyMap<string | undefined, readonly Directory[]>;
}

/** Changes nothing. */
function survey(value: string | undefined): Survey {
  const [apt, directories] = [wantsApt(value), directoriesOf(value)];
  const problems: Problem[] = [];
  const missing: Directory[] = [];
  const byUser = new Map<string | undefined, Directory[]>();
  if (apt && !hasTool('apt-get'))
    problems.push({ reason: 'apt-get is not installed', remedy: "take 'apt' out of CLEAN" });
  if (directories.length > 0 && !hasTool('systemd-tmpfiles')) {
    problems.push({ reason: 'systemd-tmpfiles is not installed', remedy: 'apt install systemd' });
    return { problems, missing, byUser };
  }
  for (const directory of directories) {
    const found = look(directory.path);
    if (found === 'missing') missing.push(directory);
    else if ('reason' in found) problems.push(found);
    else byUser.set(found.user, [...(byUser.get(found.user) ?? []), directory]);
  }
  return { problems, missing, byUser };
}

/**
 * systemd-tmpfiles takes the last part of a path for no link, but follows what is above: who owns a directory there could have us clean
 * another one. So it is they who clean, with their own rights.
 */
function look(path: string): { readonly user: string | undefined } | 'missing' | Problem {
  const { ancestorDirs, file } = resolvePath(encodeBytes(dirname(path)));
  const own = process.geteuid?.() ?? 0;
  const owners = ancestorDirs.flatMap(each =>
    'uid' in each && each.uid !== 0 && each.uid !== own ? [each.uid] : [],
  );
  const refusal = findRefusal(undefined, ancestorDirs, owners[0] ?? own);
  if (refusal !== undefined) {
    const { reason, remedy } = describePathRefusal(refusal, dirname(path));
    return { reason: `'${path}' could be swapped for another directory: ${reason}`, remedy };
  }
  const error = (code: string): Problem => ({
    reason: `'${path}': ${describeErrno(code)}`,
    remedy: 'correct CLEAN',
  });
  if ('error' in file) return file.error === 'ENOENT' ? 'missing' : error(file.error);
  try {
    const found = lstatSync(path);
    if (found.isSymbolicLink())
      return { reason: `'${path}' is a link`, remedy: 'name in CLEAN what it leads to' };
    if (!found.isDirectory()) return { reason: `'${path}' is no directory`, remedy: 'correct CLEAN' };
    const real = realpathSync(path);
    const lack = pathLack(real);
    if (lack !== undefined)
      return { reason: `'${path}' is '${escapeControls(real)}', ${lack}`, remedy: 'correct CLEAN' };
  } catch (thrown) {
    return errnoOf(thrown) === 'ENOENT' ? 'missing' : error(errnoOf(thrown));
  }
  const [owner] = owners;
  if (owner === undefined) return { user: undefined };
  const { status, stdout } = runTool('id', '--name', '--user', `${owner}`);
  return status === 0
    ? { user: stdout.trim() }
    : { reason: `what is above '${path}' belongs to ${owner}, who is no user`, remedy: 'chown it' };
}

/** What failed, a line each. */
function cleanAs(
  user: string | undefined,
  directories: readonly Directory[],
  isSimulated: boolean,
  tell: Context['tell'],
): readonly string[] {
  const version = systemdVersion(runTool('systemd-tmpfiles', '--version').stdout);
  const shown = directories.map(({ path, age }) => `${path} (older than ${age})`).join(', ');
  if (isSimulated && version < HAS_DRY_RUN) {
    tell(`would clean ${shown}`);
    return [];
  }
  const { status, reason, stdout, stderr } = runProgram({
    name: 'systemd-tmpfiles',
    args: ['--clean', ...(isSimulated ? ['--dry-run'] : []), '-'],
    ...(user === undefined ? {} : { user }),
    stdin: tmpfilesLines(directories, version >= KNOWS_AGE_BY),
  });
  if (status !== 0) return [`could not clean ${shown}: ${reason}`];
  const lines = (stdout + stderr).split('\n');
  if (isSimulated) {
    const removed = lines.filter(line => line.startsWith('Would remove '));
    tell(`would clean ${shown}: ${removed.length === 0 ? 'nothing is so old' : 'this would be removed'}`);
    for (const line of removed)
      tell(`  ${escapeControls(line.replace(/^Would remove (?:directory )?/, ''))}`);
    return [];
  }
  // It goes on, and says that all is well. Times that it cannot put back are of no matter.
  const left = lines.filter(line => /^Failed to (?!revert )/.test(line));
  if (left.length === 0) tell(`cleaned ${shown}`);
  return left.length === 0
    ? []
    : [
        `could not clean all of ${shown}: ${escapeControls(left[0] ?? '')}${left.length === 1 ? '' : `, and ${left.length - 1} more`}`,
      ];
}

function cleanApt(isSimulated: boolean, tell: Context['tell']): readonly string[] {
  if (isSimulated) {
    tell("would remove the packages that apt has fetched ('apt-get clean')");
    return [];
  }
  const { status, reason } = runTool('apt-get', 'clean');
  if (status !== 0) return [`apt-get clean: ${reason}`];
  tell('removed the packages that apt had fetched');
  return [];
}
