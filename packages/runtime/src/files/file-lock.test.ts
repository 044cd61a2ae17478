import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { runChild } from '../processes/child.ts';
import { acquireFileLock } from './file-lock.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'coold-lock-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

it('is had by one at a time, and by the next once it is released', async () => {
  const path = join(folder, 'a');
  const first = await acquireFileLock(path);
  expect(first).toBeDefined();
  expect(await acquireFileLock(path)).toBeUndefined();
  await first?.release();
  const next = await acquireFileLock(path);
  expect(next).toBeDefined();
  await next?.release();
});

it('is had by exactly one of many that ask at once', async () => {
  const locks = await Promise.all(Array.from({ length: 8 }, () => acquireFileLock(join(folder, 'b'))));
  expect(locks.filter(lock => lock !== undefined)).toHaveLength(1);
  await Promise.all(locks.map(lock => lock?.release()));
});

it('ends with a process that is killed', async () => {
  const path = join(folder, 'c');
  const module = JSON.stringify(new URL('./file-lock.ts', import.meta.url).href);
  const script = `const { acquireFileLock } = await import(${module}); await acquireFileLock(process.argv[1]); process.kill(process.pid, 'SIGKILL');`;
  const holder = await runChild(process.execPath, ['--input-type=module', '-e', script, path], {
    timeoutMs: 10_000,
  });
  expect(holder.signal).toBe('SIGKILL');
  await expect.poll(() => acquireFileLock(path), { timeout: 5000 }).toBeDefined();
});

it('on a file that cannot be made is an error that names it', async () => {
  await expect(acquireFileLock(join(folder, 'no/such'))).rejects.toThrow(/no\/such cannot be locked/);
});
