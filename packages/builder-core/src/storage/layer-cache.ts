import { createHash } from 'node:crypto';
import { mkdir, readdir, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { chainOf, readStore, type Store, type StoreRecords } from './storage-records.ts';

/**
 * The layers that builds with a `cache_key` keep: unnamed images in the storage, one for each step. buildah looks for a step's
 * image in the whole storage, by its parent and the text of the step. So a tenant who guesses a Dockerfile would get the
 * layers of another tenant, and an image with a forged history would be used as a step. Therefore each cache records the
 * images that its builds made, and a build uses no other.
 *
 * A cache is identified by its `cache_key` and the URL of the repository, so only builds that can read the repository use it.
 */
export interface LayerCache {
  /** Whether a build with this cache made the image with this id. */
  has(image: string): boolean;
  /** Records that a build made or used these images, by id. @throws Error when the record cannot be written */
  keep(images: Iterable<string>): Promise<void>;
}

/** The folder of all caches. Each cache is a folder in it, with an empty file per image; the time of the file is that of the last use. */
const folderIn = (store: Store) => join(store.root, 'coolify-layer-cache');
const idPattern = /^[0-9a-f]{64}$/;

/** Opens the cache of a key and a repository. @throws Error when the storage cannot be read */
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

/** An image of any cache: its files, one in each cache, and the time of its last use in ms since 1970. */
interface CachedImage {
  paths: string[];
  usedAt: number;
}

/**
 * Removes cached images, the least recently used first, until their layers take up no more than a limit. Images with a name,
 * and layers below them, do not count.
 *
 * @param limit for all caches of this host together, in bytes
 * @param remove removes an unnamed image and returns whether it is gone
 * @throws Error when the storage cannot be read
 */
export async function limitLayerCache(
  store: Store,
  limit: number,
  remove: (image: string) => Promise<boolean>,
): Promise<void> {
  const kept = await readKept(store);
  const stays = new Set<string>();
  for (;;) {
    // The records are read again each time: with an image, buildah removes the images below it that nothing else needs.
    const records = await readStore(store);
    for (const [id, { paths }] of kept)
      if (!records.images.has(id)) {
        kept.delete(id);
        await forget(paths);
      }
    const removable = [...kept].filter(([id]) => records.images.get(id)?.names.length === 0);
    if (sizeOf(new Set(removable.map(([id]) => id)), records) <= limit) return;
    // Among images of the same age, an image is removed before the image that it is built on.
    const depth = (id: string) => chainOf(records.layers, records.images.get(id)?.layer).length;
    const [oldest] = removable
      .filter(([id]) => !stays.has(id))
      .toSorted(([a, one], [b, other]) => one.usedAt - other.usedAt || depth(b) - depth(a));
    if (oldest === undefined) return;
    if (!(await remove(oldest[0]))) stays.add(oldest[0]);
  }
}

async function readKept(store: Store): Promise<Map<string, CachedImage>> {
  const root = folderIn(store);
  const kept = new Map<string, CachedImage>();
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

/** Returns the bytes of the layers that only these images use. */
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
