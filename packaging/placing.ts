import { chmod, copyFile, mkdir, readdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

// Modes of files are set, those of folders come by the umask that build.ts sets.

/** Writes a file, with its parent folders. */
export async function write(path: string, content: string | Uint8Array, mode = 0o644): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, content);
  await chmod(path, mode);
}

/** Copies the files of a folder whose names are wanted; scripts stay executable. */
export async function copyAll(from: string, to: string, wanted: RegExp): Promise<void> {
  await mkdir(to, { recursive: true });
  for (const name of await readdir(from)) {
    if (!wanted.test(name)) continue;
    await copyFile(join(from, name), join(to, name));
    await chmod(join(to, name), name.endsWith('.sh') ? 0o755 : 0o644);
  }
}

/** Copies a folder with everything in it. */
export async function copyTree(from: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true });
  for (const entry of await readdir(from, { withFileTypes: true })) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)];
    if (entry.isDirectory()) await copyTree(source, target);
    else {
      await copyFile(source, target);
      await chmod(target, 0o644);
    }
  }
}
