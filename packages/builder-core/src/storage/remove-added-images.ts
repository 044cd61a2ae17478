import { dirname } from 'node:path';
import type { Scratch } from '../scratch.ts';
import { otherBuildsRun } from '../tools/processes.ts';
import { runTool } from '../tools/run-tool.ts';
import type { AddedImage, StorageAdditions } from './storage-additions.ts';

/**
 * Removes the images that a failed build added. A name that an image took from an older image is given back. An image that
 * was pulled stays while other builds run, since one of them may be about to build on it.
 *
 * @param timeoutMs for all removals together, in ms
 * @returns the ids of the images that stay
 * @throws ChildError when buildah does not answer in time, BuildFailure when it does not start
 */
export async function removeAddedImages(
  storage: StorageAdditions,
  { scratch, env, timeoutMs }: { scratch: Scratch; env: NodeJS.ProcessEnv; timeoutMs: number },
): Promise<string[]> {
  const signal = AbortSignal.timeout(timeoutMs);
  const tool = { env, stage: 'buildah', signal, cwd: scratch.folder } as const;
  const buildah = async (...args: string[]) => (await runTool('buildah', args, tool)).code === 0;
  const images = await storage.images();
  const others = images.some(({ isPulled }) => isPulled) && (await otherBuildsRun(dirname(scratch.folder)));
  const kept: string[] = [];
  const removed: AddedImage[] = [];
  for (const image of images) {
    const isGone = !(others && image.isPulled) && (await remove(image, buildah));
    if (isGone) removed.push(image);
    else kept.push(image.id);
  }
  for (const [name, before] of removed.flatMap(({ names }) => [...names]))
    if (before !== undefined) await buildah('tag', '--', before, name);
  return kept;
}

/** Removes an image by id, or by each new name. The image is gone with its last name; an older image loses only the new names. */
async function remove(
  { id, names }: AddedImage,
  buildah: (...args: string[]) => Promise<boolean>,
): Promise<boolean> {
  if (names.size === 0) return buildah('rmi', '--', id);
  let isDone = true;
  for (const name of names.keys()) isDone = (await buildah('rmi', '--', name)) && isDone;
  return isDone;
}
