import { readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { type CgroupLayout, removeCgroups } from './cgroups.ts';
import type { Run } from './run.ts';
import { removeSegment } from './segment.ts';
import { system } from './system.ts';

/**
 * Removes everything that a run has created, given only its name. The run does this when it closes; the next run does
 * it for a killed one. The folder goes last, because runs are found by it.
 */
export async function removeRun(layout: CgroupLayout, run: Run): Promise<void> {
  await removeCgroups(layout, run);
  await removeSegment(run);
  await unmountUnder(run.folder);
  await rm(run.folder, { recursive: true, force: true });
}

/** Unmounts everything below a folder, the latest mount first. Safe when another process does the same. */
async function unmountUnder(folder: string): Promise<void> {
  for (const path of mountPointsUnder(folder).reverse()) {
    await system('umount', ['-l', path]).catch((error: unknown) => {
      if (mountPointsUnder(folder).includes(path)) throw error;
    });
  }
}

function mountPointsUnder(folder: string): string[] {
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map(line => line.split(' ')[4] ?? '')
    .filter(path => path.startsWith(`${folder}/`));
}
