import { watch } from 'node:fs';
import { readdir, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Scratch } from './scratch.ts';
import {
  chainOf,
  containerOfImage,
  layerFolder,
  mountsFileOf,
  readStore,
  recordsFolder,
  type Store,
  type StoreRecords,
} from './storage-records.ts';
import { mountsFileIn } from './working-containers.ts';

/** What a build adds to the storage of images, which other builds and Podman add to at the same time. */
export interface OwnStorage {
  /** Says that an image was taken from its registry; it counts when it was not here before. */
  take(image: string): void;
  /**
   * Folders that are there through this build: of layers, and of its working containers, where steps write what goes into a
   * volume of their base image.
   */
  folders(): Promise<string[]>;
  /** Images that are there through this build, each after those that are made of it. */
  images(): Promise<AddedImage[]>;
  /** Ends the watch; what it has seen stays. */
  stop(): void;
}

export interface AddedImage {
  id: string;
  /** Taken from its registry, where others may use it by now. */
  isTaken: boolean;
  /** It was here before under another name. */
  isOld: boolean;
  /** Names that it has got, with the image that had each before. */
  names: ReadonlyMap<string, string | undefined>;
}

export interface StorageWatch {
  /** The processes that the build has started. */
  pids(): Promise<string[]>;
  /** Told of each working container that is the build's own. */
  found(container: string): void;
}

const idPattern = /^[0-9a-f]{64}$/;

/**
 * Watches what is added to the storage from now on. Which is the build's own follows from its working containers, known by
 * their mounts file: an image in docker format says which container it was made in.
 *
 * @throws Error when the storage cannot be read
 */
export async function watchOwnStorage(
  store: Store,
  scratch: Scratch,
  { pids, found }: StorageWatch,
): Promise<OwnStorage> {
  const before = await readStore(store);
  const namesBefore = new Map(
    [...before.images.values()].flatMap(({ id, names }) => names.map(name => [name, id] as const)),
  );
  const mounts = mountsFileIn(scratch);
  const taken = new Set<string>();
  const unpacked = new Set<string>();
  /** Whether a container is the build's own, as far as that is known. */
  const containers = new Map<string, Promise<boolean>>();
  const folder = recordsFolder(store, 'containers');
  const isOwn = (id: string): Promise<boolean> => {
    const known = containers.get(id);
    if (known !== undefined) return known;
    const asked = isMadeWith(store, id, mounts).then(isMade => {
      if (isMade) found(id);
      return isMade;
    });
    containers.set(id, asked);
    return asked;
  };
  // Told of each as it is made: some live for less than the time between two looks.
  const watcher = watch(folder, { persistent: false }, (_, name) => {
    if (name !== null && idPattern.test(name) && !before.containers.has(name)) void isOwn(name);
  });
  watcher.on('error', () => {}); // what is looked for below is found all the same

  async function ownContainers(): Promise<Set<string>> {
    for (const name of await readdir(folder).catch(() => []))
      if (idPattern.test(name) && !before.containers.has(name)) void isOwn(name);
    const own = await Promise.all([...containers].map(async ([id, asked]) => ((await asked) ? [id] : [])));
    return new Set(own.flat());
  }

  async function ownImages(records: StoreRecords, own: ReadonlySet<string>): Promise<string[]> {
    const added = [...records.images.keys()].filter(id => !before.images.has(id));
    const isAdded = async (id: string) =>
      taken.has(id) || own.has((await containerOfImage(store, id).catch(() => undefined)) ?? '');
    return (await Promise.all(added.map(async id => ((await isAdded(id)) ? [id] : [])))).flat();
  }

  return {
    take: image => void taken.add(image),
    async folders() {
      const [records, own] = await Promise.all([readStore(store), ownContainers()]);
      for (const id of await layersBeingUnpacked(store, await pids())) unpacked.add(id);
      const images = await ownImages(records, own);
      const tops = [
        ...[...own].map(id => records.containers.get(id)?.layer),
        ...images.map(id => records.images.get(id)?.layer),
        ...[...unpacked].filter(id => records.layers.has(id)),
      ];
      const layers = new Set(tops.flatMap(top => chainOf(records.layers, top)));
      return [
        ...[...layers].filter(id => !before.layers.has(id)).map(id => layerFolder(store, id)),
        ...[...own].map(id => join(folder, id)),
      ];
    },
    async images() {
      const [records, own] = await Promise.all([readStore(store), ownContainers()]);
      const added = await ownImages(records, own);
      const old = [...taken].filter(id => (before.images.get(id)?.names.length ?? 0) > 0);
      const all = [...added, ...old].map(id => ({
        id,
        depth: chainOf(records.layers, records.images.get(id)?.layer).length,
        isTaken: taken.has(id),
        isOld: before.images.has(id),
        names: new Map(
          (records.images.get(id)?.names ?? [])
            .filter(name => namesBefore.get(name) !== id)
            .map(name => [name, namesBefore.get(name)]),
        ),
      }));
      return all.filter(({ isOld, names }) => !isOld || names.size > 0).toSorted((a, b) => b.depth - a.depth);
    },
    stop: () => watcher.close(),
  };
}

/** The file that says so is written a moment after the folder. */
async function isMadeWith(store: Store, container: string, mounts: string): Promise<boolean> {
  for (let tries = 0; tries < 40; tries += 1) {
    const found = await mountsFileOf(store, container);
    if (found !== undefined) return found === mounts;
    await delay(25);
  }
  return false;
}

/** Layers that these processes unpack: for that, one makes the layer's folder its root. No record says whose they are. */
async function layersBeingUnpacked(store: Store, pids: readonly string[]): Promise<string[]> {
  const roots = await Promise.all(pids.map(pid => readlink(`/proc/${pid}/root`).catch(() => '')));
  const pattern = new RegExp(
    `^${RegExp.escape(join(store.root, store.driver))}/(?:dir/)?([0-9a-f]{64})(?:/|$)`,
  );
  return roots.flatMap(root => pattern.exec(root)?.[1] ?? []);
}
