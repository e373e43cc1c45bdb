// Services of scripts in /etc/init.d, by service(8), where systemd does not run.
import { accessSync, constants, readdirSync, readFileSync } from 'node:fs';
import { attempt } from '../../system/errno.ts';
import type { Problem } from '../hook.ts';
import { pause, runTool } from '../tool.ts';
import type { Manager, NotStarted, Survey } from './manager.ts';

const SECOND_LOOK_MS = 1500;

/** Nothing is known of who depends on whom: they are stopped in the order in which they are named, and started in reverse. */
export const sysvinit: Manager = {
  survey,
  isUp: name => isRunning(name.replace(/\.service$/, '')) === true,
  // Nothing but an administrator starts them.
  hold: () => {},
  release: () => {},
  forget: () => {},
  stop: units =>
    units.flatMap(name => {
      awaitStops(name);
      const { status, reason } = runTool('service', name, 'stop');
      if (status !== 0) return [`service ${name} stop: ${reason}`];
      return isRunning(name) === true ? [`${name} still runs after 'service ${name} stop'`] : [];
    }),
  start,
};

function survey(names: readonly string[]): Survey {
  const states = names.map(word => {
    const name = word.replace(/\.service$/, '');
    return { name, state: hasScript(name) ? isRunning(name) : ('missing' as const) };
  });
  const problems = states.flatMap(({ name, state }): Problem[] => {
    if (state === 'missing') {
      return [
        { reason: `there is no service ${name}: no /etc/init.d/${name}`, remedy: "see 'ls /etc/init.d'" },
      ];
    }
    if (typeof state === 'boolean') return [];
    return [{ reason: `service ${name} status: ${state.unclear}`, remedy: 'mend its script' }];
  });
  const running = states.filter(({ state }) => state === true).map(({ name }) => name);
  return { problems, stop: running, running, hold: [] };
}

function start(units: readonly string[]): readonly NotStarted[] {
  for (const name of units.toReversed()) {
    awaitStops(name);
    runTool('service', name, 'start');
  }
  pause(SECOND_LOOK_MS);
  return units.toReversed().flatMap((name): NotStarted[] => {
    if (isRunning(name) === true) return [];
    if (!hasScript(name)) return [{ unit: name, isOwed: false, reason: 'is no longer there', journal: [] }];
    const { reason } = runTool('service', name, 'start');
    pause(SECOND_LOOK_MS);
    return isRunning(name) === true ? [] : [{ unit: name, isOwed: true, reason, journal: [] }];
  });
}

/**
 * Waits for a stop that is under way, for ten minutes at most, as scripts do: whoever asked for it may have been killed since, and it would
 * hit what is started now.
 */
function awaitStops(name: string): void {
  for (let tries = 0; tries < 6000 && isBeingStopped(name); tries += 1) pause(100);
}

/** By its script, or by what that has called, which goes on by itself if the script is killed. */
const isBeingStopped = (name: string): boolean =>
  readdirSync('/proc').some(pid => {
    const words = (attempt(() => readFileSync(`/proc/${pid}/cmdline`, 'utf8')) ?? '').split('\0');
    return (
      (words.some(word => word.endsWith(`/init.d/${name}`)) && words.includes('stop')) ||
      (words[0]?.endsWith('start-stop-daemon') && words.includes('--stop'))
    );
  });

const hasScript = (name: string): boolean => {
  try {
    accessSync(`/etc/init.d/${name}`, constants.X_OK);
    return true;
  } catch {
    return false;
  }
};

/** By the statuses of LSB (Linux Standard Base Core 5.0, 22.2): 0 runs, 1 to 3 do not. */
function isRunning(name: string): boolean | { readonly unclear: string } {
  const { status, reason } = runTool('service', name, 'status');
  if (status === 0) return true;
  return status === 1 || status === 2 || status === 3 ? false : { unclear: reason };
}
