import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { watchFolder } from './folder-watch.ts';
import { eventsFileName } from './work-folder.ts';

/** The size of one read, in bytes. No frame is longer. */
const blockBytes = 256 * 1024;
/** The interval of reads without a notification by the kernel, in ms. */
const lookEveryMs = 1000;

/**
 * Yields the complete lines of a build's events.ndjson, from the first on, as they are written, until the build has ended.
 * Reading the file and not the builder's pipe works after a restart of coold as well.
 *
 * @param folder the work folder of the build
 * @param ended resolves when nothing more is written
 * @throws the signal's reason when it aborts
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
      // Checked before the file is read, so that everything written before the end is found.
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

/** Reads complete lines. The builder may take back a line without an end (full disk), so such a line is left out. */
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
