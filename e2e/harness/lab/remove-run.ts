import { readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { type CgroupLayout, removeCgroups } from './cgroups.ts';
import type { Run } from './run.ts';
import { removeSegment } from './segment.ts';
import { system } from './system.ts';

/**
 * Removes all that a run has made, from its name alone: used by the run itself when it closes and, should it have been
 * killed, by the next one. The folder goes last, being what the run is found by.
 */
export async function removeRun(layout: CgroupLayout, run: Run): Promise<void> {
  await removeCgroups(layout, run);
  await removeSegment(run);
  await unmountUnder(run.folder);
  await rm(run.folder, { recursive: true, force: true });
}

/** Unmounts everything below a folder, the latest mount first. Safe when another process is at it too. */
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
