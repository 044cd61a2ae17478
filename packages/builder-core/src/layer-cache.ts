import { createHash } from 'node:crypto';
import { mkdir, readdir, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { chainOf, readStore, type Store, type StoreRecords } from './storage-records.ts';

/**
 * The layers that builds with a `cache_key` keep: images without a name in the storage, one for each step. buildah looks for
 * a step's image among all of the storage, by its parent and the text of the step: another tenant who guesses a Dockerfile
 * would get its layers, and who publishes an image with a made-up history would have it taken for a step. So it is written
 * down which images a cache has made, and a build takes no other.
 *
 * A cache is known by its `cache_key` and the URL of the repository: who does not get at the repository gets nothing of it.
 */
export interface LayerCache {
  /** Whether a build with this cache made the image. */
  has(image: string): boolean;
  /** Says that a build has made or used these images. @throws Error when that cannot be written down */
  keep(images: Iterable<string>): Promise<void>;
}

/** A folder for each cache, with an empty file for each image, whose time is that of its last use. */
const folderIn = (store: Store) => join(store.root, 'coolify-layer-cache');
const idPattern = /^[0-9a-f]{64}$/;

/** @throws Error when the storage cannot be read */
export async function openLayerCache(store: Store, cacheKey: string, repoUrl: string): Promise<LayerCache> {
  const name = createHash('sha256')
    .update(JSON.stringify([cacheKey, repoUrl]))
    .digest('hex');
  const folder = join(folderIn(store), name);
  const known = new Set(await readdir(folder).catch(ignoreMissing));
  return {
    has: image => known.has(image),
    async keep(images) {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      const now = new Date();
      for (const image of images) {
        const path = join(folder, image);
        await writeFile(path, '', { mode: 0o600 });
        await utimes(path, now, now);
        known.add(image);
      }
    },
  };
}

interface Kept {
  paths: string[];
  usedAt: number;
}

/**
 * Removes kept layers until they take up no more than a limit, those first that were not used for longest. What has a name,
 * or is below an image that has one, is no cache.
 *
 * @param limit bytes, of all caches of this host together
 * @param remove removes an image without a name; says whether it is gone
 */
export async function limitLayerCache(
  store: Store,
  limit: number,
  remove: (image: string) => Promise<boolean>,
): Promise<void> {
  const kept = await readKept(store);
  const stays = new Set<string>();
  for (;;) {
    // Anew each time: with an image, buildah removes those below it that nothing else needs.
    const records = await readStore(store);
    for (const [id, { paths }] of kept)
      if (!records.images.has(id)) {
        kept.delete(id);
        await forget(paths);
      }
    const removable = [...kept].filter(([id]) => records.images.get(id)?.names.length === 0);
    if (sizeOf(new Set(removable.map(([id]) => id)), records) <= limit) return;
    // Of those that were used together, an image goes before the one that it is made of.
    const depth = (id: string) => chainOf(records.layers, records.images.get(id)?.layer).length;
    const [oldest] = removable
      .filter(([id]) => !stays.has(id))
      .toSorted(([a, one], [b, other]) => one.usedAt - other.usedAt || depth(b) - depth(a));
    if (oldest === undefined) return;
    if (!(await remove(oldest[0]))) stays.add(oldest[0]);
  }
}

async function readKept(store: Store): Promise<Map<string, Kept>> {
  const root = folderIn(store);
  const kept = new Map<string, Kept>();
  for (const cache of await readdir(root).catch(ignoreMissing))
    for (const id of await readdir(join(root, cache)).catch(ignoreMissing)) {
      if (!idPattern.test(id)) continue;
      const path = join(root, cache, id);
      const usedAt = (await stat(path).catch(() => undefined))?.mtimeMs ?? 0;
      const before = kept.get(id) ?? { paths: [], usedAt: 0 };
      kept.set(id, { paths: [...before.paths, path], usedAt: Math.max(before.usedAt, usedAt) });
    }
  return kept;
}

/** Bytes of the layers that are there for these images alone. */
function sizeOf(cached: ReadonlySet<string>, { images, layers }: StoreRecords): number {
  const needed = new Set<string>();
  const own = new Set<string>();
  for (const { id, layer } of images.values())
    for (const below of chainOf(layers, layer)) (cached.has(id) ? own : needed).add(below);
  return [...own].reduce((sum, id) => sum + (needed.has(id) ? 0 : (layers.get(id)?.size ?? 0)), 0);
}

async function forget(paths: readonly string[]): Promise<void> {
  for (const path of paths) await rm(path, { force: true });
}

function ignoreMissing(error: NodeJS.ErrnoException): string[] {
  if (error.code === 'ENOENT') return [];
  throw error;
}
