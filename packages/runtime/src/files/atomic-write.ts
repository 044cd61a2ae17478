import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/** The new content of a file: complete and on the disk, but not yet visible under its name. */
export interface StagedFile {
  /** Replaces the file with it. This survives a crash once the folder is synced. */
  rename(): Promise<void>;
  /** Removes the new content. */
  discard(): Promise<void>;
}

/**
 * Replaces a file so that readers see either the old or the new content, complete, even after a crash at any moment: by a
 * temporary file beside it, fsync, rename, and fsync of the folder.
 *
 * @param mode the permission bits of the new file, whatever the umask
 * @throws Error when the file cannot be written
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
 * Writes new content beside a file without replacing the file yet, for files that change together with something else.
 *
 * @param content the whole content, or parts that are generated while they are written, so that a large file is never in memory as a whole
 * @throws Error when the content cannot be written
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

/** Makes changes of names in a folder survive a crash (fsync). @throws Error */
export async function syncFolder(folder: string): Promise<void> {
  const directory = await open(folder, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/** Removes temporary files that a killed process left beside this file. Does nothing when the folder does not exist. @throws Error */
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
