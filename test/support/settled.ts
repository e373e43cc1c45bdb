// When a process waits.
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** Waits until a process has done all that it was sent, and sleeps. */
export async function settled(pid: number | undefined): Promise<void> {
  const read = (file: string): string => readFileSync(`/proc/${pid}/${file}`, 'latin1');
  let before = '';
  for (;;) {
    // No signal to come, and no turn since we last looked.
    const now = /^(SigPnd|ShdPnd|(non)?voluntary_ctxt_switches):.*$/gm;
    const signs = (read('status').match(now) ?? []).join();
    if (signs === before && /^[^(]*\(.*\) S/.test(read('stat')) && !/Pnd:\s*0*[1-9a-f]/.test(signs)) return;
    before = signs;
    await sleep(20);
  }
}
