import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { logFilter } from '@coold/runtime';
import { createLogger } from '@coold/runtime/logger';
import { scratchFolder } from '@coold/testbed';
import { expect, it } from 'vitest';
import { loadBuildKey } from './build-key.ts';

const log = createLogger('broker', logFilter.parse('off') ?? expect.fail(), false);

it('the key of builds is made once, for its owner alone, and found again', async () => {
  await using folder = await scratchFolder();
  const path = join(folder.path, 'key');
  const made = await loadBuildKey(path, log);
  expect(made.isKnown).toBe(false);
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  expect(await loadBuildKey(path, log)).toEqual({ key: Buffer.from(made.key), isKnown: true });
});

it('replaces an invalid key; a key that cannot be stored lasts as long as the process', async () => {
  await using folder = await scratchFolder();
  const path = join(folder.path, 'key');
  await writeFile(path, 'half', { mode: 0o644 });
  expect((await loadBuildKey(path, log)).isKnown).toBe(false);
  expect(await readFile(path)).toHaveLength(32);
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  const lost = await loadBuildKey(join(folder.path, 'none', 'key'), log);
  expect([lost.isKnown, lost.key.length]).toEqual([false, 32]);
});
