import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { scratchFolder } from '@coold/testbed';
import { expect, it } from 'vitest';
import { makeScratch } from '../scratch.ts';
import { watchOwnContainers } from './own-containers.ts';
import { recordsFolder, type Store } from './storage-records.ts';
import { mountsFileIn } from './working-containers.ts';

const id = (letter: string) => letter.repeat(64);

// The storage is written by hand: with a real buildah, no test can look between a container's folder and its record.
async function setUp(before: readonly string[] = []) {
  const folder = await scratchFolder();
  const store: Store = { root: join(folder.path, 'storage'), driver: 'overlay' };
  await mkdir(recordsFolder(store, 'containers'), { recursive: true });
  await mkdir(join(folder.path, 'work'));
  const scratch = await makeScratch(join(folder.path, 'work'));
  const own: string[] = [];
  const containers = watchOwnContainers({
    store,
    scratch,
    before: new Set(before),
    onOwn: container => void own.push(container),
  });
  const dataOf = (container: string) => join(recordsFolder(store, 'containers'), container, 'userdata');
  return {
    containers,
    own,
    mounts: mountsFileIn(scratch),
    create: (container: string) => mkdir(dataOf(container), { recursive: true }),
    record: (container: string, defaultMountsFilePath: string) =>
      writeFile(join(dataOf(container), 'buildah.json'), JSON.stringify({ defaultMountsFilePath })),
    remove: (container: string) => rm(join(dataOf(container), '..'), { recursive: true }),
    async [Symbol.asyncDispose]() {
      containers.stop();
      await folder[Symbol.asyncDispose]();
    },
  };
}

it('distinguishes its own containers from those of others once they have a record', async () => {
  await using t = await setUp();
  await t.create(id('a'));
  await t.create(id('b'));
  const asked = t.containers.ids();
  await t.record(id('a'), t.mounts);
  await t.record(id('b'), '/another/build/scratch/mounts');
  expect([...(await asked)]).toEqual([id('a')]);
  expect(t.containers.ownerOf(id('a'))).toBe('this build');
  expect(t.containers.ownerOf(id('b'))).toBe('other');
  expect(t.own).toEqual([id('a')]);
});

it('does not know the owner of a container before its record is written', async () => {
  await using t = await setUp();
  await t.create(id('a'));
  const asked = t.containers.ids();
  await expect.poll(() => t.containers.ownerOf(id('a'))).toBe('unknown');
  await t.record(id('a'), t.mounts);
  await asked;
  expect(t.containers.ownerOf(id('a'))).toBe('this build');
});

it('remembers a container that is gone, and names each once', async () => {
  await using t = await setUp();
  await t.create(id('a'));
  await t.record(id('a'), t.mounts);
  await t.containers.ids();
  await t.remove(id('a'));
  expect([...(await t.containers.ids())]).toEqual([id('a')]);
  expect(t.own).toEqual([id('a')]);
});

it('leaves out older containers, and folders that are not containers', async () => {
  await using t = await setUp([id('a')]);
  await t.create(id('a'));
  await t.record(id('a'), t.mounts);
  await t.create('no-id');
  expect([...(await t.containers.ids())]).toEqual([]);
});
