import { readdir, readFile, readlink, stat } from 'node:fs/promises';
import { scratchFolder } from '@coold/testbed';
import { expect, it } from 'vitest';
import { openAuthFile } from './auth-file.ts';

it('a file with logins never has a name, is readable by root only, and can be read repeatedly', async () => {
  await using folder = await scratchFolder();
  const file = await openAuthFile('r:1', { username: 'robot', password: 'word' }, folder.path);
  expect(await readdir(folder.path)).toEqual([]);
  // The kernel calls a file that never had a name by its number.
  expect(await readlink(file.path)).toMatch(/^\/dev\/shm\/#\d+ \(deleted\)$/);
  expect((await stat(file.path)).mode & 0o777).toBe(0o600);
  for (let time = 0; time < 2; time += 1)
    expect(JSON.parse(await readFile(file.path, 'utf8'))).toEqual({
      auths: { 'r:1': { auth: Buffer.from('robot:word').toString('base64') } },
    });
  await file[Symbol.asyncDispose]();
  await expect(readFile(file.path)).rejects.toThrow('ENOENT');
});
