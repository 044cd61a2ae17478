import { setTimeout as delay } from 'node:timers/promises';
import { expect, it, vi } from 'vitest';
import { createLogger } from '../logs/logger.ts';
import { keepLean } from './keep-lean.ts';

const log = createLogger('test', { level: 'off', components: new Map() }, false);

/** How often memory was returned while `work` ran beside the task, which looked every 20 ms. Quiet: no CPU time is used. */
async function returnedDuring(work: () => Promise<unknown>, cpuMs = () => 0): Promise<number> {
  const everything = vi.fn();
  const stop = new AbortController();
  const returnMemory = { everything, program: () => {} };
  const running = keepLean({ log, everyMs: 20, returnMemory, cpuMs })(stop.signal);
  await work();
  stop.abort();
  await running;
  return everything.mock.calls.length;
}

it('returns memory of a quiet program once, and not again while it does not grow', async () => {
  expect(await returnedDuring(() => delay(2000))).toBe(1);
});

it('returns none while the program works', async () => {
  const wholeCore = () => performance.now();
  expect(await returnedDuring(() => delay(1000), wholeCore)).toBe(0);
});

it('returns memory again once the program has grown', async () => {
  const kept: Buffer[] = [];
  const work = async () => {
    await delay(1000);
    kept.push(Buffer.alloc(64 * 2 ** 20, 1));
    await delay(1000);
  };
  expect(await returnedDuring(work)).toBe(2);
  expect(kept).toHaveLength(1);
});

it('returns pages of the program alone where nothing else has grown', async () => {
  const calls: string[] = [];
  const now = { own: 2 ** 26, ofFiles: 2 ** 26 };
  const stop = new AbortController();
  const running = keepLean({
    log,
    everyMs: 20,
    cpuMs: () => 0,
    resident: () => ({ ...now }),
    returnMemory: {
      everything() {
        calls.push('everything');
        [now.own, now.ofFiles] = [2 ** 25, 2 ** 24];
      },
      program() {
        calls.push('program');
        now.ofFiles = 2 ** 24;
      },
    },
  })(stop.signal);
  await vi.waitFor(() => expect(calls).toEqual(['everything']));
  await delay(100);
  now.ofFiles = 2 ** 25;
  await vi.waitFor(() => expect(calls).toEqual(['everything', 'program']));
  await delay(100);
  now.own = 2 ** 26;
  await vi.waitFor(() => expect(calls).toEqual(['everything', 'program', 'everything']));
  stop.abort();
  await running;
});

it('ends with the program where memory cannot be returned', async () => {
  const stop = new AbortController();
  const running = keepLean({ log, returnMemory: undefined })(stop.signal);
  stop.abort();
  await running;
});
