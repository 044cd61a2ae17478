import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { logFilter } from '@coold/runtime';
import { createLogger } from '@coold/runtime/logger';
import { scratchFolder } from '@coold/testbed';
import { expect, it } from 'vitest';
import { loadGivenBuilds, rememberGiven } from './build-given.ts';

const log = createLogger('broker', logFilter.parse('off') ?? expect.fail(), false);

it('are known to the next broker, which no half line disturbs', async () => {
  await using folder = await scratchFolder();
  const path = join(folder.path, 'given');
  const first = await loadGivenBuilds(path, log);
  first.note('a', 1000);
  first.note('b', 1001);
  first.note('a', 1002);
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  await writeFile(path, `${await readFile(path, 'utf8')}kf`);
  const next = await loadGivenBuilds(path, log);
  expect([next.latest('a'), next.latest('b'), next.latest('c')]).toEqual([1002, 1001, 0]);
});

it('are known also when they are written after half a line', async () => {
  await using folder = await scratchFolder();
  const path = join(folder.path, 'given');
  await writeFile(path, 'rs a\nrt');
  const next = await loadGivenBuilds(path, log);
  next.note('b', 5);
  next.note('c', 6);
  const last = await loadGivenBuilds(path, log);
  expect([last.latest('a'), last.latest('b'), last.latest('c')]).toEqual([1000, 5, 6]);
});

it('are forgotten when there are many later ones, in the file too', () => {
  const file: string[] = [];
  const given = rememberGiven(
    [],
    (notes, isAll) => {
      if (isAll) file.length = 0;
      file.push(...notes.map(([id]) => id));
    },
    3,
  );
  for (let at = 1; at <= 100; at += 1) {
    given.note(`b-${at}`, at);
    expect(file.length).toBeLessThanOrEqual(6);
  }
  expect([given.latest('b-97'), given.latest('b-98'), given.latest('b-100')]).toEqual([0, 98, 100]);
  expect(file.slice(-3)).toEqual(['b-98', 'b-99', 'b-100']);
});

it('last as long as the broker when there is no file for them', async () => {
  await using folder = await scratchFolder();
  const given = await loadGivenBuilds(join(folder.path, 'none', 'given'), log);
  given.note('a', 5);
  expect(given.latest('a')).toBe(5);
});
