import { type Disk as AnyDisk, judgeDisk as judgeAnyDisk, readDisks as readAnyDisks } from '@coold/runtime';
import type { Registry } from 'prom-client';
import { scrapedMetrics } from '../scraped-metrics.ts';

/** What coold and its containers need disk space for. */
export type DiskUse = 'containers' | 'settings' | 'builds';

/** The path of each. */
export type DiskPaths = Readonly<Partial<Record<DiskUse, string>>>;

/** A file system, and what of ours is on it. */
export type Disk = AnyDisk<DiskUse>;

const remedy = 'make room, for example with images.delete or podman system prune';

/**
 * Returns the file systems of these paths, each once. Paths that cannot be read or do not exist are left out. Never
 * rejects.
 */
export function readDisks(paths: DiskPaths): Promise<Disk[]> {
  return readAnyDisks(Object.entries(paths) as [DiskUse, string][]);
}

/** Describes what is wrong with a disk; undefined when it has room. Pure. */
export function judgeDisk(disk: Disk): string | undefined {
  return judgeAnyDisk(disk, remedy);
}

/** Registers the metrics of disks. */
export function watchDisks(registry: Registry, paths: DiskPaths): void {
  const { gauges } = scrapedMetrics(registry);
  const each = (name: string, help: string, read: (disk: Disk) => number) =>
    gauges(name, help, 'use', async () => {
      const disks = await readDisks(paths);
      return disks.flatMap(disk => disk.uses.map(use => [use, read(disk)] as const));
    });
  each(
    'coold_disk_free_bytes',
    'Free bytes on the disk that holds containers, settings or builds',
    ({ free }) => free,
  );
  each('coold_disk_size_bytes', 'The size of that disk in bytes', ({ total }) => total);
}
