import { join } from 'node:path';
import { scratchFolder } from '@coold/testbed';
import { Registry } from 'prom-client';
import { expect, it } from 'vitest';
import { type Disk, judgeDisk, readDisks, watchDisks } from './disks.ts';

const gib = 1024 ** 3;
const roomy: Disk = {
  uses: ['containers', 'settings'],
  path: '/var/lib/containers',
  total: 100 * gib,
  free: 50 * gib,
  files: 1000,
  files_free: 900,
};

it.each<[Partial<Disk>, RegExp | undefined]>([
  [{}, undefined],
  [{ free: 3 * gib }, undefined],
  [
    { free: 1 * gib },
    /^the disk of containers and settings \(\/var\/lib\/containers\) is full: 1024 MiB of 102400 MiB are free; make room/,
  ],
  [{ total: 10 * gib, free: 0.6 * gib }, undefined],
  [{ total: 10 * gib, free: 0.4 * gib }, /is full: 409 MiB of 10240 MiB/],
  [{ files_free: 40 }, /is full: it has room for 40 files more, of 1000/],
  [{ files: 0, files_free: 0 }, undefined],
])('a disk with %j', (change, problem) => {
  const said = judgeDisk({ ...roomy, ...change });
  if (problem === undefined) expect(said).toBeUndefined();
  else expect(said).toMatch(problem);
});

it('paths on one disk are one disk, and a path that is not there is none', async () => {
  await using folder = await scratchFolder();
  const paths = { containers: folder.path, settings: folder.path, builds: join(folder.path, 'nosuch') };
  const disks = await readDisks(paths);
  expect(disks).toEqual([expect.objectContaining({ uses: ['containers', 'settings'], path: folder.path })]);
  expect(disks[0]?.total).toBeGreaterThan(disks[0]?.free ?? 0);
  const registry = new Registry();
  watchDisks(registry, paths);
  const text = await registry.metrics();
  expect(text).toMatch(/^coold_disk_free_bytes\{use="settings"\} \d{6,}$/m);
  expect(text).toMatch(/^coold_disk_size_bytes\{use="containers"\} \d{6,}$/m);
});
