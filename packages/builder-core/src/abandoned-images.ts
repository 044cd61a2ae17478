import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isArgument, requestIn } from './running-builds.ts';
import { chainOf, containerOfImage, readStore, type Store } from './storage-records.ts';

// A builder that is killed removes nothing. So each writes down, where the next one finds it, which working containers it
// has made: the images that it committed from them name these.

const folderIn = (store: Store) => join(store.root, 'coolify-builds');
const whose = 'work-folder';

/** What a build writes down of itself while it runs. */
export interface BuildJournal {
  /** Best effort: what is not written down is not found later. */
  note(container: string): void;
  /** The build has removed what it had to. */
  close(): Promise<void>;
}

/** @param workDir the work folder of the build, a real path @throws Error when it cannot be written */
export async function openBuildJournal(store: Store, workDir: string): Promise<BuildJournal> {
  const folder = join(folderIn(store), createHash('sha256').update(workDir).digest('hex'));
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await writeFile(join(folder, whose), workDir, { mode: 0o600 });
  return {
    note: container => void writeFile(join(folder, container), '', { mode: 0o600 }).catch(() => {}),
    close: () => rm(folder, { recursive: true, force: true }),
  };
}

/**
 * Removes the images without a name that builders left which were killed. Those of builders that run stay.
 *
 * @param remove removes an image; what it cannot remove is in use, and left alone from then on
 * @throws Error when the storage cannot be read
 */
export async function removeAbandonedImages(
  store: Store,
  remove: (image: string) => Promise<boolean>,
): Promise<void> {
  const root = folderIn(store);
  for (const name of await readdir(root).catch(() => [])) {
    const folder = join(root, name);
    const workDir = await readFile(join(folder, whose), 'utf8').catch(() => undefined);
    if (workDir === undefined || (await isArgument(requestIn(workDir)))) continue;
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
