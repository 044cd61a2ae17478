import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { type DiskWatch, watchDisk } from './disk-watch.ts';

/** A disk with so much free, and a build that uses so much; both change as a test says. */
function setUp(limit: number, times: DiskWatch['times'] = { look: 1, atLeast: 60_000 }) {
  const end = new AbortController();
  const disk = { free: 1000, used: 0, measured: 0 };
  const over = watchDisk({
    ...{ limit, folders: ['/a'], signal: end.signal, times },
    freeOn: async () => disk.free,
    measure: async () => {
      disk.measured += 1;
      return disk.used;
    },
  });
  return { disk, over, end };
}

describe('the watch of a disk', () => {
  it('does not measure while nothing is written', async () => {
    const { disk, over, end } = setUp(100);
    await delay(50);
    end.abort();
    expect(await over).toBeUndefined();
    expect(disk.measured).toBe(0);
  });

  it('measures when so much less is free that half of the limit may be used up, and tells what is above it', async () => {
    const { disk, over } = setUp(100);
    disk.free = 940;
    disk.used = 60;
    while (disk.measured === 0) await delay(1);
    disk.free = 890;
    disk.used = 110;
    expect(await over).toBe(110);
    expect(disk.measured).toBe(2);
  });

  it('measures every now and then, since others may free what a build takes', async () => {
    const { disk, over } = setUp(100, { look: 1, atLeast: 20 });
    disk.used = 101;
    expect(await over).toBe(101);
  });

  it('does not take for the build what others write', async () => {
    const { disk, over, end } = setUp(100);
    disk.free = 100;
    while (disk.measured === 0) await delay(1);
    await delay(20);
    end.abort();
    expect(await over).toBeUndefined();
  });

  it('is none without a limit', async () => {
    const { over } = setUp(Number.POSITIVE_INFINITY);
    expect(await over).toBeUndefined();
  });
});
