import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isProcessArgument, requestPathIn } from '../tools/processes.ts';
import { chainOf, containerOfImage, readStore, type Store } from './storage-records.ts';

// A killed builder removes nothing. So each builder records the working containers that it creates, where the next builder
// finds the record. An image that was committed from a working container names that container.

const folderIn = (store: Store) => join(store.root, 'coolify-builds');
const workDirFile = 'work-folder';

/** The record of a running build. */
export interface BuildJournal {
  /** Records a working container. A failure is ignored: the next builder then does not find its image. */
  note(container: string): void;
  /** Removes the record, after the build has removed what it had to. */
  close(): Promise<void>;
}

/**
 * Creates the record of a build.
 *
 * @param workDir the work folder of the build, without symlinks
 * @throws Error when the record cannot be written
 */
export async function openBuildJournal(store: Store, workDir: string): Promise<BuildJournal> {
  const folder = join(folderIn(store), createHash('sha256').update(workDir).digest('hex'));
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await writeFile(join(folder, workDirFile), workDir, { mode: 0o600 });
  return {
    note: container => void writeFile(join(folder, container), '', { mode: 0o600 }).catch(() => {}),
    close: () => rm(folder, { recursive: true, force: true }),
  };
}

/**
 * Removes the unnamed images that killed builders left. Images of running builders stay.
 *
 * @param remove removes an image. An image that it cannot remove is in use and stays
 * @throws Error when the storage cannot be read
 */
export async function removeAbandonedImages(
  store: Store,
  remove: (image: string) => Promise<boolean>,
): Promise<void> {
  const root = folderIn(store);
  for (const name of await readdir(root).catch(() => [])) {
    const folder = join(root, name);
    const workDir = await readFile(join(folder, workDirFile), 'utf8').catch(() => undefined);
    if (workDir === undefined || (await isProcessArgument(requestPathIn(workDir)))) continue;
    const containers = new Set(await readdir(folder).catch(() => []));
    const { images, layers } = await readStore(store);
    const nameless = [...images.values()].filter(({ names }) => names.length === 0);
    const upper = nameless.toSorted(
      (a, b) => chainOf(layers, b.layer).length - chainOf(layers, a.layer).length,
    );
    for (const { id } of upper)
      if (containers.has((await containerOfImage(store, id).catch(() => undefined)) ?? '')) await remove(id);
    await rm(folder, { recursive: true, force: true });
  }
}
