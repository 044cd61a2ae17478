import { watch } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { pause } from '@coold/runtime/pause';
import type { Scratch } from '../scratch.ts';
import { mountsFileOf, recordsFolder, type Store } from './storage-records.ts';
import { mountsFileIn } from './working-containers.ts';

/** What is known of a working container that appeared while the build runs. */
export type ContainerOwner =
  /** buildah has not written the record of the container yet, so its mounts file is not known. */
  | 'unknown'
  /** The container has the mounts file of this build. */
  | 'this build'
  /** The container has another mounts file, or none appeared in time. */
  | 'other';

/** The working containers of one build, as they appear in the storage. */
export interface OwnContainers {
  /** Returns the ids of all containers of this build so far, those that are gone included. */
  ids(): Promise<ReadonlySet<string>>;
  /** Returns what is known of one container now. */
  ownerOf(id: string): ContainerOwner;
  /** Ends the watch. `ids` and `ownerOf` still work. */
  stop(): void;
}

export interface OwnContainersOptions {
  store: Store;
  scratch: Scratch;
  /** The ids of the containers that existed before the build. */
  before: ReadonlySet<string>;
  /** Called once for each container of this build. */
  onOwn(container: string): void;
}

const idPattern = /^[0-9a-f]{64}$/;
/** How often, and at what interval in ms, the record of a new container is looked for. */
const maxLooks = 40;
const lookEveryMs = 25;

/** Watches for working containers from now on. A container belongs to the build whose mounts file it has. */
export function watchOwnContainers({ store, scratch, before, onOwn }: OwnContainersOptions): OwnContainers {
  const folder = recordsFolder(store, 'containers');
  const mounts = mountsFileIn(scratch);
  const owners = new Map<string, ContainerOwner>();
  const identifying: Promise<void>[] = [];

  function notice(id: string): void {
    if (!idPattern.test(id) || before.has(id) || owners.has(id)) return;
    owners.set(id, 'unknown');
    identifying.push(identify(id));
  }

  async function identify(id: string): Promise<void> {
    const isOwn = (await mountsFileWithin(store, id)) === mounts;
    owners.set(id, isOwn ? 'this build' : 'other');
    if (isOwn) onOwn(id);
  }

  // Some containers live for less time than passes between two calls of `ids`, so each is noticed when it is created.
  const watcher = watch(folder, { persistent: false }, (_, name) => notice(name ?? ''));
  watcher.on('error', () => {}); // `ids` looks for containers as well

  return {
    async ids() {
      for (const name of await readdir(folder).catch(() => [])) notice(name);
      await Promise.all(identifying);
      return new Set([...owners].flatMap(([id, owner]) => (owner === 'this build' ? [id] : [])));
    },
    ownerOf: id => owners.get(id) ?? 'other',
    stop: () => watcher.close(),
  };
}

/** Returns the mounts file of a new container. buildah writes the record a moment after it creates the folder. */
async function mountsFileWithin(store: Store, container: string): Promise<string | undefined> {
  for (let looks = 0; looks < maxLooks; looks += 1) {
    const found = await mountsFileOf(store, container);
    if (found !== undefined) return found;
    await pause(lookEveryMs);
  }
  return undefined;
}
