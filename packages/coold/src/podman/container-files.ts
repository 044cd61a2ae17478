import { lstat, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { list, object, text } from './shape.ts';

/** What is at a path of a container, without following the path itself. */
export type PathKind = { kind: 'absent' } | { kind: 'link'; target: string } | { kind: 'other' };

/** A mount of a container. */
export interface ContainerMount {
  /** The path in the container as requested, without resolving symlinks. */
  target: string;
  /** The folder of this host, from a volume or a bind mount. undefined: an empty file system such as a tmpfs. */
  source: string | undefined;
}

/** Reads the mounts of a container, requested or from its image, from the answer of `inspect`. @throws VerbError 502 */
export function mountsOf(container: Record<string, unknown>): ContainerMount[] {
  const folders = list(container['Mounts'] ?? [], 'container.Mounts').map((entry, index) => {
    const at = `container.Mounts[${index}]`;
    const mount = object(entry, at);
    return {
      source: text(mount['Source'], `${at}.Source`),
      target: text(mount['Destination'], `${at}.Destination`),
    };
  });
  const host = object(container['HostConfig'] ?? {}, 'container.HostConfig');
  const tmpfs = Object.keys(object(host['Tmpfs'] ?? {}, 'container.HostConfig.Tmpfs'));
  return [...folders, ...tmpfs.map(target => ({ target, source: undefined }))];
}

/**
 * Where the files of a container lie on this host, the layers of its overlay, topmost first, in what `inspect` gave;
 * undefined where its storage driver is not overlay.
 *
 * @throws VerbError 502
 */
export function layersOf(container: Record<string, unknown>): string[] | undefined {
  const driver = object(container['GraphDriver'] ?? {}, 'container.GraphDriver');
  if (driver['Name'] !== 'overlay') return undefined;
  const data = object(driver['Data'] ?? {}, 'container.GraphDriver.Data');
  const upper = text(data['UpperDir'], 'container.GraphDriver.Data.UpperDir');
  const lower = text(data['LowerDir'] ?? '', 'container.GraphDriver.Data.LowerDir');
  return [upper, ...lower.split(':').filter(layer => layer !== '')];
}

/**
 * What lies at a path of a container's layers, or of the folders that are mounted above it. A mount at the path itself
 * does not hide what is there: the runtime follows it before it mounts.
 *
 * @param path absolute and normal; none of its parents is a symlink
 * @param mounted what is mounted already, each at its real path, in this order
 */
export async function pathKind(
  layers: readonly string[],
  mounted: readonly ContainerMount[],
  path: string,
): Promise<PathKind> {
  const above = mounted.findLast(({ target }) => path.startsWith(`${target}/`));
  if (above !== undefined) {
    const below = path.slice(above.target.length);
    const found = above.source === undefined ? undefined : await inLayer(above.source, below);
    return found ?? { kind: 'absent' };
  }
  for (const layer of layers) {
    const found = await inLayer(layer, path);
    if (found !== undefined) return found;
  }
  return { kind: 'absent' };
}

/** Returns what a layer holds at a path. undefined: nothing, so the layers below decide. */
async function inLayer(root: string, path: string): Promise<PathKind | undefined> {
  const parts = path.split('/').filter(part => part !== '');
  for (let index = 0, here = root; ; index += 1) {
    const part = parts[index];
    if (part === undefined) return { kind: 'other' };
    here = join(here, part);
    const found = await lstat(here).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined;
      throw error;
    });
    if (found === undefined) return undefined;
    // A whiteout: the entry of the layers below was removed.
    if (found.isCharacterDevice() && found.rdev === 0) return { kind: 'absent' };
    if (index === parts.length - 1)
      return found.isSymbolicLink() ? { kind: 'link', target: await readlink(here) } : { kind: 'other' };
    // A parent that is not a folder in this layer is hidden by a layer above.
    if (!found.isDirectory()) return undefined;
  }
}
