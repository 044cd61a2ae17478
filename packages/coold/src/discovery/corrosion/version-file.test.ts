import { readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { scratchFolder } from '@coold/testbed';
import { expect, it } from 'vitest';
import { readVersion, writeVersion } from './version-file.ts';

it('stores the version, readable by its owner only, and leaves no other file', async () => {
  await using folder = await scratchFolder();
  const path = join(folder.path, 'made', 'corrosion-version.json');
  expect(await readVersion(path)).toBeUndefined();
  await writeVersion(path, { actorId: 'a-1', version: 41, isPutBack: false });
  await writeVersion(path, { actorId: 'a-1', version: 42, isPutBack: true });
  expect(await readVersion(path)).toEqual({ actorId: 'a-1', version: 42, isPutBack: true });
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  expect(await readdir(join(folder.path, 'made'))).toEqual(['corrosion-version.json']);
});

it.each([
  '',
  '{"actor_id":"a","ver',
  '[]',
  'null',
  '{"actor_id":"","version":1,"put_back":false}',
  '{"actor_id":"a","version":-1,"put_back":false}',
  '{"actor_id":"a","version":1.5,"put_back":false}',
  '{"actor_id":"a","version":"1","put_back":false}',
  '{"actor_id":"a","version":1}',
])('refuses %j', async text => {
  await using folder = await scratchFolder();
  const path = join(folder.path, 'corrosion-version.json');
  await writeFile(path, text);
  await expect(readVersion(path)).rejects.toThrow(/corrosion-version.json: expected/);
});
