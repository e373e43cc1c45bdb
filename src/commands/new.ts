import { writeFileSync } from 'node:fs';
import { escapeControls, shellWord } from '../cli/text.ts';
import { isPassedOver } from '../hooks/judge.ts';
import { describeErrno, errnoOf } from '../system/errno.ts';
import type { NewRequest } from '../types.ts';
import type { Answer } from './context.ts';
import { refuse } from './refuse.ts';

/** Writes a hook that is not executable: it is switched on when its author has finished it. */
export function newHook({ directory, name }: NewRequest): Answer {
  const path = `${directory}/${name}`;
  const shown = `'${escapeControls(path)}'`;
  const fail = (why: string): Answer => ({ status: 1, out: '', err: `tklbam-hooks: ${shown}: ${why}\n` });
  if (isPassedOver(name)) return fail('no file of such a name is run (choose another name)');
  const refused = refuse(directory);
  if (refused !== undefined) return refused;
  try {
    writeFileSync(path, skeleton(name), { flag: 'wx', mode: 0o644 });
  } catch (error) {
    const code = errnoOf(error);
    if (code === 'EEXIST') return fail('it is there already, and is left as it is (choose another name)');
    if (code === 'ENOENT')
      return fail(`there is no directory '${escapeControls(directory)}' (make it first)`);
    return fail(`${describeErrno(code)} (${code === 'EACCES' ? 'do it as root' : 'mend that'})`);
  }
  return {
    status: 0,
    out: `${shown} written: edit it, then 'tklbam-hooks enable ${escapeControls(shellWord(name))}'\n`,
    err: '',
  };
}

/** A name that stays in one line of a comment, whatever is in it. */
const skeleton = (name: string): string => `#!/bin/sh
# ${escapeControls(name)}: say here what it does, and why.
#
# It is called with the operation (backup, restore) and the state. What tklbam-hooks(5) says, in short: status 0 is
# success; any other in pre or inspect stops the operation. Write to standard error what the administrator is to read.
#
# To ask for a time limit of its own, or for a failure to be a mere warning, take away the first '# ' of this line:
# # tklbam-hooks: timeout=20m failure=warn
set -eu

case "$1 $2" in
    'backup pre' | 'restore pre')
        # Before anything is done: stop what must not change meanwhile, dump what is not in files.
        # First note what is about to be done, in a file below /run or /var/lib, so that error knows what to undo.
        ;;
    'backup inspect' | 'restore inspect')
        # The metadata of the backup is in the working directory: made but not yet stored, or fetched but not yet applied.
        ;;
    'backup post' | 'restore post')
        # All went well: start again what was stopped, load what was dumped.
        ;;
    'backup error' | 'restore error')
        # Something failed, maybe before pre was done, maybe days ago at a power cut; $TKLBAM_HOOK_ERROR says what.
        # Undo what is still to be undone. Status 0 says that nothing is left to do; otherwise, it is told again.
        ;;
esac
`;
