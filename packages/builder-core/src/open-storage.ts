import { dirname } from 'node:path';
import { openBuildJournal } from './abandoned-images.ts';
import { descendantsOf } from './descendants.ts';
import { type OwnStorage, watchOwnStorage } from './own-storage.ts';
import { runTool } from './run-tool.ts';
import type { Scratch } from './scratch.ts';
import { findStore, type Store } from './storage-records.ts';

/** The storage of images as a build sees it, and what it adds to it. */
export interface OpenStorage {
  store: Store;
  storage: OwnStorage;
  /** Removes an image; says whether it is gone. @throws ChildError, BuildFailure when buildah does not run */
  removeImage(image: string): Promise<boolean>;
  /** The build is over, and has removed what it had to. */
  close(): Promise<void>;
}

/** @throws BuildFailure, ChildError, Error when there is no storage that can be read */
export async function openStorage(
  scratch: Scratch,
  env: NodeJS.ProcessEnv,
  signal: AbortSignal,
): Promise<OpenStorage> {
  const store = await findStore(env, { cwd: scratch.folder, signal });
  const journal = await openBuildJournal(store, dirname(scratch.folder));
  // What is unpacked into the storage is unpacked by programs that this process started.
  const pids = () => descendantsOf(process.pid);
  const storage = await watchOwnStorage(store, scratch, { pids, found: journal.note });
  return {
    store,
    storage,
    async removeImage(image) {
      const tool = { env, stage: 'buildah', signal, cwd: scratch.folder } as const;
      return (await runTool('buildah', ['rmi', '--', image], tool)).code === 0;
    },
    async close() {
      storage.stop();
      await journal.close();
    },
  };
}
