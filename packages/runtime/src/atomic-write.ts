import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/** New content of a file, whole and on the disk, that nobody sees yet. */
export interface StagedFile {
  /** Puts it in the file's place; lasting once the folder is synced. */
  rename(): Promise<void>;
  /** Removes it. */
  discard(): Promise<void>;
}

/**
 * Replaces a file so that a reader, or the next start after a crash at any instruction, sees the old content or the new,
 * whole: temporary file beside it, fsync, rename, fsync of the folder.
 *
 * @param mode permission bits of the new file, whatever the umask
 */
export async function writeFileAtomically(
  path: string,
  content: string | Uint8Array,
  mode: number,
): Promise<void> {
  const staged = await stageFile(path, content, mode);
  try {
    await staged.rename();
  } catch (error) {
    await staged.discard();
    throw error;
  }
  await syncFolder(dirname(path));
}

/**
 * The first half of it, for files that are to change together with something else.
 *
 * @param content whole, or in parts that are written as they are taken, so that a large file is never in memory at once
 */
export async function stageFile(
  path: string,
  content: string | Uint8Array | { parts: Iterable<string> },
  mode: number,
): Promise<StagedFile> {
  const temporary = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}.tmp`);
  const discard = () => rm(temporary, { force: true });
  try {
    const file = await open(temporary, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, mode);
    try {
      await file.chmod(mode);
      if (typeof content === 'string' || content instanceof Uint8Array) await file.writeFile(content);
      else await writeParts(file, content.parts);
      await file.sync();
    } finally {
      await file.close();
    }
  } catch (error) {
    await discard();
    throw error;
  }
  return { rename: () => rename(temporary, path), discard };
}

const partsBufferBytes = 256 * 1024;

async function writeParts(file: FileHandle, parts: Iterable<string>): Promise<void> {
  const buffer = Buffer.allocUnsafe(partsBufferBytes);
  let used = 0;
  const flush = async () => {
    for (let written = 0; written < used; )
      written += (await file.write(buffer, written, used - written)).bytesWritten;
    used = 0;
  };
  for (const part of parts) {
    // A character of UTF-16 is at most three bytes.
    if (used + part.length * 3 > buffer.length) await flush();
    if (part.length * 3 > buffer.length) await file.writeFile(part);
    else used += buffer.write(part, used);
  }
  await flush();
}

/** Makes what was renamed, made or removed in a folder last. */
export async function syncFolder(folder: string): Promise<void> {
  const directory = await open(folder, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/** Removes what an earlier process had staged for this file when it was killed; a folder that is absent has nothing. */
export async function sweepStaged(path: string): Promise<void> {
  const folder = dirname(path);
  const prefix = `.${basename(path)}.`;
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  const ours = names.filter(
    name => name.startsWith(prefix) && /^[0-9a-f]{12}\.tmp$/.test(name.slice(prefix.length)),
  );
  await Promise.all(ours.map(name => rm(join(folder, name), { force: true })));
}
