// The service of a database, which is down while a restore swaps its files.
import type { Problem } from '../hook.ts';
import { startIfDown, startServices, stopServices } from '../services/services.ts';

/** Stops it, and keeps others from starting it until `startAgain`. That restore notes what ran: a second time does no harm. */
export const stopFor = (id: string, service: string): Problem | undefined =>
  quietly(id, `stop ${service}`, context => stopServices([service], true, 'restore', context));

/**
 * Starts what `stopFor` stopped for that restore; no harm if that is nothing. Then the service itself, which ran when the restore began: what
 * has ended it since, a kill or a crash, may have left nothing that is noted.
 */
export const startAgain = (id: string, service: string): Problem | undefined =>
  quietly(id, 'start it', startServices) ?? quietly(id, 'start it', context => startIfDown(service, context));

type Quiet = Parameters<typeof startServices>[0];

function quietly(id: string, what: string, work: (context: Quiet) => boolean): Problem | undefined {
  const said: string[] = [];
  const isDone = work({
    instance: `restore-${id}`,
    isSimulated: false,
    tell: line => said.push(line.trim()),
  });
  return isDone ? undefined : { reason: said.join('; '), remedy: `${what} by hand, and see why it cannot` };
}
