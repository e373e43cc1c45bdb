// status: what runs, what was cut off or is still owed, and how the last sessions ended.
import { checkAnswer, prometheusText } from '../report/monitoring.ts';
import { statusJson, statusText } from '../report/status.ts';
import { pastSessions } from '../session/history.ts';
import { unfinished } from '../session/recovery.ts';
import { readStandings } from '../session/standing.ts';
import type { StatusRequest } from '../types.ts';
import type { Context } from './context.ts';

/** Of so many sessions, how long a hook usually takes. */
const MOST = 30;

export async function status(
  { statePaths, form, isWhole, maxAgeMs, name }: StatusRequest,
  { by, print, tell, screen, version }: Context,
): Promise<number> {
  const standings = readStandings(statePaths.stateDirectory);
  if (form === 'check') {
    const { status, line } = checkAnswer(standings, maxAgeMs, new Date(), name);
    return print(`${line}\n`) || status;
  }
  const known = typeof standings === 'string' ? [] : standings;
  if (form === 'prometheus') {
    if (typeof standings === 'string') {
      tell(`tklbam-hooks: cannot read how the last sessions ended: ${standings}`);
      return 1;
    }
    return print(prometheusText(known, version));
  }
  const sessions = unfinished(statePaths, by.uid);
  const past = (await pastSessions(statePaths.log, MOST, tell)).filter(({ trial }) => !trial);
  if (form === 'json') return print(statusJson(sessions, past, known));
  return print(statusText(sessions, past, known, { now: new Date(), ...screen(), isWhole }));
}
