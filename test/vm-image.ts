// The virtual machine of all tests that need one.
import { execFileSync } from 'node:child_process';
import { isRoot } from './harness.ts';

const packages = ['ntpsec-ntpdate', 'chrony', 'cron', 'python3'];

/** Its directory, for test/vm/run. Made once, in a minute or two. */
export function vmImage(): string {
  if (!isRoot) throw new Error('only root can make the image of a virtual machine');
  const script = new URL('vm/image', import.meta.url).pathname;
  return execFileSync(script, packages, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] }).trim();
}
