// status: what runs, what was cut off or is still owed, and how the last sessions ended.
import { statusJson, statusText } from '../report/status.ts';
import { readLog } from '../session/log.ts';
import { unfinished } from '../session/recovery.ts';
import type { StatusRequest } from '../types.ts';
import type { Context } from './context.ts';

export async function status(
  { statePaths, json }: StatusRequest,
  { by, print, tell }: Context,
): Promise<number> {
  const sessions = unfinished(statePaths, by.uid);
  const entries = readLog(statePaths.log, tell);
  return print(json ? statusJson(sessions, entries) : statusText(sessions, entries, new Date()));
}
