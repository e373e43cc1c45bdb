// list: every entry of the hooks directories, and what would come of it.
import { loadHooks } from '../hooks/load.ts';
import { inOrder } from '../hooks/plan.ts';
import { listJson, listText } from '../report/list.ts';
import type { ListRequest } from '../types.ts';
import type { Context } from './context.ts';

export async function list(request: ListRequest, { by, print }: Context): Promise<number> {
  const { listings, judged } = await loadHooks(request, by);
  const entries = inOrder(request.event, judged);
  return print(request.json ? listJson(request, listings, entries) : listText(listings, entries));
}
