// What the program asks itself for: a word of its arguments then, which no command has.

/** To end a hook that has lost its runner; also the name of the shell that waits for that. */
export const END_ORPHAN = 'tklbam-hooks-watchdog';

/** To make a view. */
export const MAKE_VIEW = 'tklbam-hooks-view';

/** `session --ahead FD`: to wait on that socket for the arguments of a session. Asked by hooks.py. */
export const AHEAD = '--ahead';
