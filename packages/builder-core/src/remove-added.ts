import { dirname } from 'node:path';
import type { AddedImage, OwnStorage } from './own-storage.ts';
import { runTool } from './run-tool.ts';
import { otherBuildsRun } from './running-builds.ts';
import type { Scratch } from './scratch.ts';

/**
 * Removes the images that a build has added: it failed, and nobody asked for them. A name that one took from an older image
 * goes back to that. An image of a registry stays while other builds run, since one of them may be about to build on it.
 *
 * @param timeoutMs for all of it
 * @returns the ids of those that stay
 * @throws ChildError when buildah does not answer in time, BuildFailure when it does not start
 */
export async function removeAdded(
  storage: OwnStorage,
  { scratch, env, timeoutMs }: { scratch: Scratch; env: NodeJS.ProcessEnv; timeoutMs: number },
): Promise<string[]> {
  const signal = AbortSignal.timeout(timeoutMs);
  const tool = { env, stage: 'buildah', signal, cwd: scratch.folder } as const;
  const buildah = async (...args: string[]) => (await runTool('buildah', args, tool)).code === 0;
  const images = await storage.images();
  const others = images.some(({ isTaken }) => isTaken) && (await otherBuildsRun(dirname(scratch.folder)));
  const kept: string[] = [];
  const removed: AddedImage[] = [];
  for (const image of images) {
    const isGone = !(others && image.isTaken) && (await remove(image, buildah));
    if (isGone) removed.push(image);
    else kept.push(image.id);
  }
  for (const [name, before] of removed.flatMap(({ names }) => [...names]))
    if (before !== undefined) await buildah('tag', '--', before, name);
  return kept;
}

/** One with several names goes with the last of them, and one without by its id; one that was here loses the new names. */
async function remove(
  { id, names }: AddedImage,
  buildah: (...args: string[]) => Promise<boolean>,
): Promise<boolean> {
  if (names.size === 0) return buildah('rmi', '--', id);
  let isDone = true;
  for (const name of names.keys()) isDone = (await buildah('rmi', '--', name)) && isDone;
  return isDone;
}
