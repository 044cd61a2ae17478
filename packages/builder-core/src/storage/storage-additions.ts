import { readlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { Scratch } from '../scratch.ts';
import { type OwnContainers, watchOwnContainers } from './own-containers.ts';
import {
  chainOf,
  containerOfImage,
  type ImageRecord,
  layerFolder,
  readStore,
  recordsFolder,
  type Store,
  type StoreRecords,
} from './storage-records.ts';

/** An image that is in the storage, or has a name, because of this build. */
export interface AddedImage {
  id: string;
  /** The number of its layers. */
  depth: number;
  /** Whether the build pulled it from a registry. Other builds may use it by now. */
  isPulled: boolean;
  /** Whether the image was in the storage before, under another name. */
  existedBefore: boolean;
  /** The names that the image got, each with the image that had the name before. */
  names: ReadonlyMap<string, string | undefined>;
}

export interface StorageWatch {
  /** Returns the ids of the processes that the build has started. */
  pids(): Promise<string[]>;
  /** Called once for each working container of the build. */
  found(container: string): void;
}

/**
 * What one build adds to the image storage, to which other builds and Podman add at the same time. An image in docker format
 * names the working container that it was committed from, and a working container names the build (OwnContainers).
 */
export class StorageAdditions {
  readonly #store: Store;
  /** The records when the build began. */
  readonly #before: StoreRecords;
  /** For each name that existed when the build began, the image that had it. */
  readonly #namesBefore: ReadonlyMap<string, string>;
  readonly #containers: OwnContainers;
  readonly #pids: () => Promise<string[]>;
  /** Ids of pulled images. */
  readonly #pulled = new Set<string>();
  /** Names under which a pull stores an image. */
  readonly #pulledNames = new Set<string>();
  /** Layers that processes of the build were seen unpacking. */
  readonly #unpacked = new Set<string>();

  private constructor(store: Store, before: StoreRecords, scratch: Scratch, { pids, found }: StorageWatch) {
    this.#store = store;
    this.#before = before;
    this.#namesBefore = new Map(
      [...before.images.values()].flatMap(({ id, names }) => names.map(name => [name, id] as const)),
    );
    this.#pids = pids;
    this.#containers = watchOwnContainers({
      store,
      scratch,
      before: new Set(before.containers.keys()),
      onOwn: found,
    });
  }

  /** Begins to watch the storage. @throws Error when the storage cannot be read */
  static async watch(store: Store, scratch: Scratch, options: StorageWatch): Promise<StorageAdditions> {
    return new StorageAdditions(store, await readStore(store), scratch, options);
  }

  /**
   * Announces a pull, by the name under which it stores the image. A pull that is killed after it has stored the image prints
   * no id. The image counts when it, or its name, was not in the storage before.
   */
  pullStarts(name: string): void {
    this.#pulledNames.add(name);
  }

  /** Records the id of a pulled image. The image counts when it was not in the storage before. */
  pullEnded(image: string): void {
    this.#pulled.add(image);
  }

  /**
   * Returns the folders that exist because of this build: those of layers, and those of its working containers, where steps
   * write files of volumes of their base image.
   *
   * @throws Error when the storage cannot be read
   */
  async folders(): Promise<string[]> {
    const { records, containers, images } = await this.#look();
    for (const id of await layersBeingUnpacked(this.#store, await this.#pids())) this.#unpacked.add(id);
    const tops = [
      ...[...containers].map(id => records.containers.get(id)?.layer),
      ...images.map(id => records.images.get(id)?.layer),
      ...[...this.#unpacked].filter(id => records.layers.has(id)),
    ];
    const layers = new Set(tops.flatMap(top => chainOf(records.layers, top)));
    const containerFolder = recordsFolder(this.#store, 'containers');
    return [
      ...[...layers].filter(id => !this.#before.layers.has(id)).map(id => layerFolder(this.#store, id)),
      ...[...containers].map(id => join(containerFolder, id)),
    ];
  }

  /** Returns the images of this build, each before the images that it is built on. @throws Error when the storage cannot be read */
  async images(): Promise<AddedImage[]> {
    const { records, images, pulled } = await this.#look();
    const renamed = [...pulled].filter(id => (this.#before.images.get(id)?.names.length ?? 0) > 0);
    const all = [...images, ...renamed].map(id => this.#describe(id, records, pulled));
    return all
      .filter(({ existedBefore, names }) => !existedBefore || names.size > 0)
      .toSorted((a, b) => b.depth - a.depth);
  }

  /** Ends the watch. What was seen stays known. */
  stop(): void {
    this.#containers.stop();
  }

  /** Reads the storage, and which containers and new images in it are of this build. */
  async #look() {
    const [records, containers] = await Promise.all([readStore(this.#store), this.#containers.ids()]);
    const pulled = this.#pulledIn(records);
    const isOwn = async (id: string) =>
      pulled.has(id) ||
      containers.has((await containerOfImage(this.#store, id).catch(() => undefined)) ?? '');
    const added = [...records.images.keys()].filter(id => !this.#before.images.has(id));
    const images = (await Promise.all(added.map(async id => ((await isOwn(id)) ? [id] : [])))).flat();
    return { records, containers, pulled, images };
  }

  /** Returns the ids of pulled images: those that a pull printed, and those that a killed pull stored under its name. */
  #pulledIn({ images }: StoreRecords): Set<string> {
    const hasPulledName = ({ id, names }: ImageRecord) =>
      names.some(name => this.#pulledNames.has(name) && this.#namesBefore.get(name) !== id);
    return new Set([...this.#pulled, ...[...images.values()].filter(hasPulledName).map(({ id }) => id)]);
  }

  #describe(id: string, { images, layers }: StoreRecords, pulled: ReadonlySet<string>): AddedImage {
    const newNames = (images.get(id)?.names ?? []).filter(name => this.#namesBefore.get(name) !== id);
    return {
      id,
      depth: chainOf(layers, images.get(id)?.layer).length,
      isPulled: pulled.has(id),
      existedBefore: this.#before.images.has(id),
      names: new Map(newNames.map(name => [name, this.#namesBefore.get(name)])),
    };
  }
}

/** Returns the layers that processes are unpacking: a process that unpacks makes the folder of the layer its root. No record names the build. */
async function layersBeingUnpacked(store: Store, pids: readonly string[]): Promise<string[]> {
  const roots = await Promise.all(pids.map(pid => readlink(`/proc/${pid}/root`).catch(() => '')));
  const pattern = new RegExp(
    `^${RegExp.escape(join(store.root, store.driver))}/(?:dir/)?([0-9a-f]{64})(?:/|$)`,
  );
  return roots.flatMap(root => pattern.exec(root)?.[1] ?? []);
}
