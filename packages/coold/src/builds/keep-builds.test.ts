import { expect, test } from 'vitest';
import { silent as log } from '../../test/caller.ts';
import { keepBuilds } from './keep-builds.ts';

test('a disk that cannot be read is tried again, and nobody waits for it', async () => {
  let attempts = 0;
  const adopted = Promise.withResolvers<void>();
  const builds = {
    async adopt() {
      attempts += 1;
      if (attempts === 1) throw new Error('EIO');
      adopted.resolve();
    },
    sweep: () => Promise.resolve(),
  };
  const stop = new AbortController();
  const tried = Promise.withResolvers<number>();
  const task = keepBuilds(builds, log, () => tried.resolve(attempts))(stop.signal);
  expect(await tried.promise).toBe(1);
  await adopted.promise;
  stop.abort();
  await task;
  expect(attempts).toBe(2);
});
