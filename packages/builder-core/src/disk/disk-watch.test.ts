import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { type DiskWatch, watchDisk } from './disk-watch.ts';

/** A disk with so much free, and a build that uses so much; both change as a test says. */
function setUp(bytes: number, times: DiskWatch['times'] = { look: 1, atLeast: 60_000 }, inodes = 100) {
  const end = new AbortController();
  const disk = {
    free: 1000,
    used: 0,
    freeInodes: 1000,
    usedInodes: 0,
    measured: 0,
    measureMs: 0,
    isStuck: false,
  };
  const over = watchDisk({
    limit: { bytes, inodes },
    folders: ['/a'],
    signal: end.signal,
    times,
    freeOn: async () => ({ bytes: disk.free, inodes: disk.freeInodes }),
    measure: async () => {
      disk.measured += 1;
      const { used, usedInodes } = disk;
      await delay(disk.measureMs);
      return disk.isStuck ? undefined : { bytes: used, inodes: usedInodes };
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

  it('measures once the free space fell so far that half of the limit may be used, and reports an excess', async () => {
    const { disk, over } = setUp(100);
    disk.free = 940;
    disk.used = 60;
    while (disk.measured === 0) await delay(1);
    disk.free = 890;
    disk.used = 110;
    expect(await over).toEqual({ of: 'bytes', used: 110 });
    expect(disk.measured).toBe(2);
  });

  it('measures every now and then, since others may free what a build takes', async () => {
    const { disk, over } = setUp(100, { look: 1, atLeast: 20 });
    disk.used = 101;
    expect(await over).toEqual({ of: 'bytes', used: 101 });
  });

  it('does not take for the build what others write', async () => {
    const { disk, over, end } = setUp(100);
    disk.free = 100;
    while (disk.measured === 0) await delay(1);
    await delay(20);
    end.abort();
    expect(await over).toBeUndefined();
  });

  it('does not wait after a long measurement when what was written since could be the whole limit', async () => {
    const { disk, over } = setUp(100);
    disk.measureMs = 1000;
    disk.free = 940;
    disk.used = 60;
    while (disk.measured === 0) await delay(1);
    await delay(disk.measureMs);
    disk.measureMs = 0;
    disk.free = 830;
    disk.used = 170;
    const begun = performance.now();
    expect(await over).toEqual({ of: 'bytes', used: 170 });
    // It would wait three times as long as it measured.
    expect(performance.now() - begun).toBeLessThan(2500);
  });

  it('counts files as it does bytes', async () => {
    const { disk, over } = setUp(100);
    disk.freeInodes = 940;
    disk.usedInodes = 60;
    while (disk.measured === 0) await delay(1);
    disk.freeInodes = 890;
    disk.usedInodes = 110;
    expect(await over).toEqual({ of: 'inodes', used: 110 });
    expect(disk.measured).toBe(2);
  });

  it('does not go on measuring what cannot be counted in time', async () => {
    const { disk, over } = setUp(100);
    disk.isStuck = true;
    disk.free = 940;
    expect(await over).toEqual({ of: 'time' });
    expect(disk.measured).toBe(1);
  });

  it('ends at once without a limit', async () => {
    const { over } = setUp(Number.POSITIVE_INFINITY, undefined, Number.POSITIVE_INFINITY);
    expect(await over).toBeUndefined();
  });
});
