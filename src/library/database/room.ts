// Whether a restore has the room that it takes.
import { statfsSync } from 'node:fs';
import type { Problem } from '../hook.ts';

/** None if the file system of the directory has so many bytes. Throws the error of statfs(2). */
export function roomProblems(directory: string, bytes: number): Problem[] {
  const { bavail, bsize } = statfsSync(directory);
  return bavail * bsize >= bytes
    ? []
    : [{ reason: `${directory} has no room for ${bytes} bytes more`, remedy: 'make room there' }];
}
