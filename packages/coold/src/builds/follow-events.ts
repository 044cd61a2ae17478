import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { watchFolder } from './folder-watch.ts';
import { eventsFileName } from './work-folder.ts';

/** Read at once, in bytes; longer than any frame. */
const blockBytes = 256 * 1024;
/** Where the kernel tells of no change, the file is looked at this often, in ms. */
const lookEveryMs = 1000;

/**
 * The whole lines of a build's events.ndjson from the first on, as they are written, until the build has ended. From the
 * file and not from the builder's pipe, so that it is the same after coold was restarted.
 *
 * @param ended resolves when nothing more is written
 * @throws the signal's reason
 */
export async function* followEvents(
  folder: string,
  ended: Promise<unknown>,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  using changes = watchFolder(folder, [eventsFileName]);
  const over = new AbortController();
  void ended.then(() => over.abort());
  const either = AbortSignal.any([signal, over.signal]);
  let file: FileHandle | undefined;
  try {
    for (let offset = 0; ; ) {
      // Before the file is read: what was written until then is found.
      const isLast = over.signal.aborted;
      file ??= await openIfThere(join(folder, eventsFileName));
      for (;;) {
        signal.throwIfAborted();
        const lines = file === undefined ? undefined : await wholeLines(file, offset);
        if (lines === undefined) break;
        offset += lines.length;
        yield lines;
      }
      if (isLast) return;
      await changes.next(lookEveryMs, either);
    }
  } finally {
    await file?.close();
  }
}

/** A line that has no end yet may still be taken back (a full disk) and is not shown. */
async function wholeLines(file: FileHandle, offset: number): Promise<Buffer | undefined> {
  const block = Buffer.alloc(blockBytes);
  const { bytesRead } = await file.read(block, 0, block.length, offset);
  const end = block.subarray(0, bytesRead).lastIndexOf(0x0a) + 1;
  if (end > 0) return block.subarray(0, end);
  return bytesRead === block.length ? block : undefined;
}

async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
