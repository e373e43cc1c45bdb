// What the terminal has to do with signals: whether there is one, and whether it sent a signal to hooks as well.
import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';
import { attempt } from '../system/errno.ts';
import { isTerminal } from '../system/tty.ts';

export interface Terminal {
  /** Whether we have a controlling terminal (tty(4)). */
  readonly isThere: boolean;
  /**
   * Whether a hang-up is for us: a standard stream is on a terminal. nohup(1) leaves none on one, and ignores SIGHUP; that this was so
   * cannot be seen any more.
   */
  readonly countsHangup: boolean;
  /** Whether a terminal sent the signal to all of our process group: one that has it in the foreground, or is gone. */
  readonly sent: (signal: NodeJS.Signals) => boolean;
  /** Whether a descriptor is on it, and it has our process group in the foreground. */
  readonly isForeground: (fd: number) => boolean;
}

/** Whether a descriptor is on a terminal that knows escape sequences: tklbam's own, which it logs, is there under cron too, with no TERM. */
export function hasEscapes(fd: number): boolean {
  const { TERM } = process.env;
  return isTerminal(fd) && TERM !== undefined && TERM !== '' && TERM !== 'dumb';
}

export const lookForTerminal = (): Terminal => ({
  isThere: hasControllingTerminal(),
  countsHangup: [0, 1, 2].some(isTerminal),
  sent: signal => {
    const { group, session, foreground } = jobOf();
    if (signal === 'SIGINT' || signal === 'SIGQUIT') return group === foreground;
    // The leader of a session gets it alone, and the others when the leader ends.
    return signal === 'SIGHUP' && foreground === '-1' && Number(session) !== process.pid;
  },
  isForeground: fd => {
    const { group, device, foreground } = jobOf();
    return (
      group !== undefined && group === foreground && attempt(() => fstatSync(fd).rdev) === Number(device)
    );
  },
});

function jobOf(): Record<'group' | 'session' | 'device' | 'foreground', string | undefined> {
  // proc_pid_stat(5): state, ppid, pgrp, session, tty_nr, tpgid; behind the name in parentheses.
  const text = attempt(() => readFileSync('/proc/self/stat', 'latin1')) ?? '';
  const [, , group, session, device, foreground] = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return { group, session, device, foreground };
}

function hasControllingTerminal(): boolean {
  const fd = attempt(() => openSync('/dev/tty', constants.O_RDWR | constants.O_NONBLOCK));
  if (fd !== undefined) closeSync(fd);
  return fd !== undefined;
}
