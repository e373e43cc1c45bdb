// All hooks of a run: found, judged, and those from afar verified.
import type { HookSettings, Judged, LoadedHooks } from '../types.ts';
import { discover } from './discover.ts';
import { type Judge, judgeListings, judgeSignature } from './judge.ts';

export async function loadHooks(settings: HookSettings, by: Judge): Promise<LoadedHooks> {
  const { listings, judged } = judgeListings(settings.sources.map(discover), by);
  const isFromAfar = ({ hook, verdict }: Judged): boolean =>
    verdict.kind === 'run' && hook.source.kind === 'profile';
  if (!judged.some(isFromAfar)) return { listings, judged };

  // Imported here, not above: few appliances have profile hooks.
  const { verifier } = await import('./signature.ts');
  const verify = verifier(settings.keyrings, by.uid);
  const checked = judged.map(
    (each): Judged =>
      isFromAfar(each) ? { hook: each.hook, verdict: judgeSignature(verify(each.hook)) } : each,
  );
  return { listings, judged: checked };
}
