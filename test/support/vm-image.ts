// The virtual machine of all tests that need one.
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { isRoot } from './harness.ts';
import { repository } from './repository.ts';

const packages = ['ntpsec-ntpdate', 'chrony', 'cron', 'python3'];

/** Its directory, for test/vm/run. Made once, in a minute or two. */
export function vmImage(): string {
  if (!isRoot) throw new Error('only root can make the image of a virtual machine');
  const script = join(repository, 'test/vm/image');
  return execFileSync(script, packages, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] }).trim();
}
