// A terminal as a person sees it: what is on the screen, by tmux(1).
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { plainEnvironment, scratch } from './harness.ts';

export interface Screen {
  /** What is in its 24 rows of 80 columns, without blanks at the ends. */
  readonly rows: () => string[];
  readonly type: (text: string) => void;
}

/** One with a shell command on it; gone after the test. */
export function openScreen(t: TestContext, command: string): Screen {
  const socket = join(scratch(t), 'tmux');
  const tmux = (...args: readonly string[]): string =>
    execFileSync('tmux', ['-S', socket, '-f', '/dev/null', ...args], {
      encoding: 'utf8',
      env: { ...plainEnvironment, TERM: 'xterm' },
    });
  tmux('set-option', '-g', 'status', 'off', ';', 'new-session', '-d', '-x', '80', '-y', '24', command);
  const server = Number(tmux('display-message', '-p', '#{pid}'));
  t.after(() => process.kill(server));
  return {
    rows: () =>
      tmux('capture-pane', '-p')
        .split('\n')
        .slice(0, 24)
        .map(row => row.trimEnd()),
    type: text => {
      tmux('send-keys', '-l', text);
    },
  };
}
