import { dirname } from 'node:path';
import type { Scratch } from '../scratch.ts';
import { descendantsOf } from '../tools/processes.ts';
import { runTool } from '../tools/run-tool.ts';
import { openBuildJournal } from './abandoned-images.ts';
import { StorageAdditions } from './storage-additions.ts';
import { findStore, type Store } from './storage-records.ts';

/** The image storage as a build sees it, with what the build adds to it. */
export interface OpenStorage {
  store: Store;
  storage: StorageAdditions;
  /** Removes an image and returns whether it is gone. @throws ChildError, BuildFailure when buildah does not run */
  removeImage(image: string): Promise<boolean>;
  /** Ends the watch and removes the build's record, after the build has removed what it had to. */
  close(): Promise<void>;
}

/** Opens the image storage for one build. @throws BuildFailure, ChildError, Error when the storage cannot be read */
export async function openStorage(
  scratch: Scratch,
  env: NodeJS.ProcessEnv,
  signal: AbortSignal,
): Promise<OpenStorage> {
  const store = await findStore(env, { cwd: scratch.folder, signal });
  const journal = await openBuildJournal(store, dirname(scratch.folder));
  // Only programs that this process started unpack layers of this build.
  const pids = () => descendantsOf(process.pid);
  const storage = await StorageAdditions.watch(store, scratch, { pids, found: journal.note });
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
