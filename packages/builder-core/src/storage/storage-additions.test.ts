import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { scratchFolder } from '@coold/testbed';
import { describe, expect, it } from 'vitest';
import { makeScratch } from '../scratch.ts';
import { StorageAdditions } from './storage-additions.ts';
import type { Store } from './storage-records.ts';

const id = (letter: string) => letter.repeat(64);
const digest = (letter: string) => `registry.example/app@sha256:${id(letter)}`;

// The storage is written by hand: no buildah can be killed at just the instant between writing an image and telling its id.
async function setUp(images: readonly { id: string; names: string[] }[]) {
  const folder = await scratchFolder();
  const store: Store = { root: join(folder.path, 'storage'), driver: 'overlay' };
  const write = async (records: typeof images) =>
    writeFile(join(store.root, 'overlay-images', 'images.json'), JSON.stringify(records));
  for (const kind of ['images', 'layers', 'containers'])
    await mkdir(join(store.root, `overlay-${kind}`), { recursive: true });
  await write(images);
  await mkdir(join(folder.path, 'work'));
  const scratch = await makeScratch(join(folder.path, 'work'));
  const storage = await StorageAdditions.watch(store, scratch, { pids: async () => [], found: () => {} });
  return {
    storage,
    write,
    async [Symbol.asyncDispose]() {
      storage.stop();
      await folder[Symbol.asyncDispose]();
    },
  };
}

describe('an image that a pull wrote before it was killed', () => {
  it('belongs to the build, although the pull never printed its id', async () => {
    await using fixture = await setUp([{ id: id('a'), names: [digest('a')] }]);
    fixture.storage.pullStarts(digest('b'));
    await fixture.write([
      { id: id('a'), names: [digest('a')] },
      { id: id('b'), names: [digest('b')] },
      { id: id('c'), names: [digest('c')] },
    ]);
    expect(await fixture.storage.images()).toEqual([
      {
        id: id('b'),
        depth: 0,
        isPulled: true,
        existedBefore: false,
        names: new Map([[digest('b'), undefined]]),
      },
    ]);
  });

  it('that existed before under another name loses only the new name', async () => {
    await using fixture = await setUp([{ id: id('a'), names: ['registry.example/app:1'] }]);
    fixture.storage.pullStarts(digest('a'));
    await fixture.write([{ id: id('a'), names: ['registry.example/app:1', digest('a')] }]);
    expect(await fixture.storage.images()).toMatchObject([
      { id: id('a'), isPulled: true, existedBefore: true, names: new Map([[digest('a'), undefined]]) },
    ]);
  });

  it('that existed before under the same name stays', async () => {
    await using fixture = await setUp([{ id: id('a'), names: [digest('a')] }]);
    fixture.storage.pullStarts(digest('a'));
    expect(await fixture.storage.images()).toEqual([]);
  });
});
