import { readdir, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { scratchFolder } from '@coold/testbed';
import { expect, test } from 'vitest';
import { readJoined, writeJoined } from './joined-file.ts';

test('is read back as it was written, for its owner alone; without subnets none is made', async () => {
  await using folder = await scratchFolder();
  const path = join(folder.path, 'etc', 'joined.subnets');
  await writeJoined(path, []);
  await expect(stat(path)).rejects.toThrow('ENOENT');
  await writeJoined(path, ['10.99.0.0/24', '10.98.0.0/24', '10.99.0.0/25']);
  expect(await readJoined(path)).toEqual({ subnets: ['10.98.0.0/24', '10.99.0.0/24'], problem: undefined });
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  await writeJoined(path, []);
  expect(await readJoined(path)).toEqual({ subnets: [], problem: undefined });
});

test('an unchanged file is not written again', async () => {
  await using folder = await scratchFolder();
  const path = join(folder.path, 'joined.subnets');
  await writeJoined(path, ['10.99.0.0/24']);
  await utimes(path, 1, 1);
  await writeJoined(path, ['10.99.0.0/24']);
  expect((await stat(path)).mtimeMs).toBe(1000);
});

test('a damaged file names its bad lines, keeps the others, and is repaired by the next write', async () => {
  await using folder = await scratchFolder();
  const path = join(folder.path, 'joined.subnets');
  await writeFile(path, '# ours\n10.99.0.0/24\n0.0.0.0/0\n10.98.0.0/24; drop\n');
  await writeFile(join(folder.path, '.joined.subnets.0123456789ab.tmp'), 'half');
  expect(await readJoined(path)).toEqual({
    subnets: ['10.99.0.0/24'],
    problem: expect.stringMatching(/joined\.subnets: line 3, 4: expected an IPv4 network/) as string,
  });
  await writeJoined(path, ['10.99.0.0/24']);
  expect((await readJoined(path)).problem).toBeUndefined();
  expect(await readdir(folder.path)).toEqual(['joined.subnets']);
});
