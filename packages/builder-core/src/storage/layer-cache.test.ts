import { mkdir, readdir, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { scratchFolder } from '@coold/testbed';
import { describe, expect, it } from 'vitest';
import { limitLayerCache, openLayerCache } from './layer-cache.ts';
import type { Store } from './storage-records.ts';

const id = (letter: string) => letter.repeat(64);

/** A storage whose images have one layer each, of 100 bytes, upon that of the image before. */
async function setUp(images: readonly { id: string; names?: string[] }[]) {
  const folder = await scratchFolder();
  const store: Store = { root: folder.path, driver: 'overlay' };
  const write = async (kind: string, records: unknown) => {
    await mkdir(join(store.root, `overlay-${kind}`), { recursive: true });
    await writeFile(join(store.root, `overlay-${kind}`, `${kind}.json`), JSON.stringify(records));
  };
  await write(
    'images',
    images.map(image => ({ ...image, layer: `layer-${image.id}` })),
  );
  await write(
    'layers',
    images.map((image, at) => ({
      id: `layer-${image.id}`,
      'diff-size': 100,
      ...(at === 0 ? {} : { parent: `layer-${images[at - 1]?.id}` }),
    })),
  );
  const removed: string[] = [];
  return {
    store,
    removed,
    /** Says when a cache used its images, in seconds. */
    async used(cache: string, when: Record<string, number>) {
      await (await openLayerCache(store, cache, 'https://x')).keep(Object.keys(when));
      const root = join(store.root, 'coolify-layer-cache');
      for (const name of await readdir(root))
        for (const [image, at] of Object.entries(when))
          await utimes(join(root, name, image), at, at).catch(() => {});
    },
    limit: (bytes: number, stays: readonly string[] = []) =>
      limitLayerCache(store, bytes, async image => {
        if (stays.includes(image)) return false;
        removed.push(image);
        await write(
          'images',
          images
            .filter(each => !removed.includes(each.id))
            .map(each => ({ ...each, layer: `layer-${each.id}` })),
        );
        return true;
      }),
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
}

const chain = [
  { id: id('a') },
  { id: id('b') },
  { id: id('c') },
  { id: id('d'), names: ['x:1'] },
  { id: id('e') },
];

describe('layers that are kept', () => {
  it('are known by key and repository', async () => {
    await using t = await setUp(chain);
    await (await openLayerCache(t.store, 'k', 'https://x/a')).keep([id('a')]);
    expect((await openLayerCache(t.store, 'k', 'https://x/a')).has(id('a'))).toBe(true);
    expect((await openLayerCache(t.store, 'k', 'https://x/b')).has(id('a'))).toBe(false);
    expect((await openLayerCache(t.store, 'l', 'https://x/a')).has(id('a'))).toBe(false);
  });

  it('take up what no image with a name needs', async () => {
    await using t = await setUp(chain);
    await t.used('k', { [id('a')]: 1, [id('b')]: 2, [id('c')]: 3, [id('e')]: 4 });
    await t.limit(100);
    expect(t.removed).toEqual([]);
    await t.limit(99);
    expect(t.removed).toEqual([id('a'), id('b'), id('c'), id('e')]);
  });

  it('are removed by last use, an image before its parent, down to the limit', async () => {
    await using t = await setUp([{ id: id('a') }, { id: id('b') }, { id: id('c') }]);
    await t.used('k', { [id('a')]: 5, [id('b')]: 5, [id('c')]: 5 });
    await t.limit(200);
    expect(t.removed).toEqual([id('c')]);
  });

  it('stay where they are in use, and those that are gone are forgotten', async () => {
    await using t = await setUp([{ id: id('a') }, { id: id('b') }]);
    await t.used('k', { [id('a')]: 1, [id('b')]: 2, [id('f')]: 3 });
    await t.limit(0, [id('a')]);
    expect(t.removed).toEqual([id('b')]);
    const cache = await openLayerCache(t.store, 'k', 'https://x');
    expect([id('a'), id('b'), id('f')].map(image => cache.has(image))).toEqual([true, false, false]);
  });
});
