// history: the last sessions, a line each.
import { historyText } from '../report/history.ts';
import { pastSessions } from '../session/history.ts';
import type { HistoryRequest } from '../types.ts';
import type { Context } from './context.ts';

/** How many are shown. */
const MOST = 30;

export async function history(
  { operations, statePaths }: HistoryRequest,
  { print, screen, tell }: Context,
): Promise<number> {
  const past = await pastSessions(statePaths.log, MOST, tell, operations);
  return print(historyText(past.slice(-MOST), screen().columns));
}
