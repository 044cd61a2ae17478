import { chmod, link, mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { scratchFolder } from '@coold/testbed';
import { expect, it } from 'vitest';
import { diskUsage } from './disk-usage.ts';

const { signal } = new AbortController();

it('counts bytes and files of folders, a file with two names once, and follows no symlink', async () => {
  await using folder = await scratchFolder();
  const [a, b] = [join(folder.path, 'a'), join(folder.path, 'b')];
  await mkdir(a);
  await mkdir(b);
  await writeFile(join(a, 'large'), Buffer.alloc(1_000_000, 1));
  await link(join(a, 'large'), join(b, 'again'));
  await symlink('/usr', join(b, 'usr'));
  const used = await diskUsage([a, b, join(folder.path, 'none')], { signal });
  expect(used?.inodes).toBe(4);
  expect(used?.bytes).toBeGreaterThanOrEqual(1_000_000);
  expect(used?.bytes).toBeLessThan(1_100_000);
});

it('says nothing of what it cannot count in time', async () => {
  await using folder = await scratchFolder();
  const bin = join(folder.path, 'du');
  await writeFile(bin, '#!/bin/sh\nexec sleep 60\n');
  await chmod(bin, 0o755);
  const before = process.env['PATH'];
  process.env['PATH'] = `${folder.path}:${before}`;
  try {
    expect(await diskUsage([folder.path], { signal, timeoutMs: 200 })).toBeUndefined();
  } finally {
    process.env['PATH'] = before;
  }
});
