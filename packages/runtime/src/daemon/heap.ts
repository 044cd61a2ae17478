import { PerformanceObserver } from 'node:perf_hooks';
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8';

/** How the heap is tuned: `small` where memory matters more than speed, `busy` for thousands of requests per second. */
export type HeapUse = 'small' | 'busy';

/** The size of one semi-space of the young generation in a busy program, in bytes. */
const busyYoungBytes = 4 * 1024 * 1024;
/** How far the old generation of a busy program grows before V8 collects it, in percent of the last live size. */
const busyGrowingPercent = 50;

/**
 * Limits the garbage that V8 keeps. The allocations of a request are garbage within milliseconds. V8 would let them fill 64 MB
 * before it collects, and would promote what is live at that moment. The flags are set here and not on Node's command line:
 * there, Node would discard its compiled code cache and take twice as long to start. For the same reason they are set after
 * the modules of a program are loaded.
 *
 * `small`: V8 collects at every megabyte, and collects the old generation as soon as it grows. Otherwise it would keep 70 MB of
 * garbage after coold has read 10,000 rules once. It collects on one thread: to wake four for a megabyte costs more CPU
 * than the collection.
 *
 * `busy`: V8 collects at every 4 MB. With `small`, a broker under 64 concurrent dispatches spends more than half of its time
 * collecting, since most of a megabyte is still live when it is full: 267 µs of CPU per dispatch; at 1 MB without the rest of
 * `small` 170, at 2 MB 147, at 4 MB 137, at 8 and 16 MB no less. Without a limit it is 119, but data for slow readers piles up
 * in buffers that only the next collection frees: 86 MB, in place of 25 MB at 4 MB and at 1 MB.
 */
export function keepHeap(use: HeapUse): void {
  setFlagsFromString('--semi-space-growth-factor=1');
  switch (use) {
    case 'small':
      setFlagsFromString('--optimize-for-size');
      for (const step of ['scavenge', 'compaction', 'pointer-update'])
        setFlagsFromString(`--no-parallel-${step}`);
      return;
    case 'busy':
      setFlagsFromString(`--heap-growing-percent=${busyGrowingPercent}`);
      boundYoung(busyYoungBytes);
  }
}

/**
 * Lets each semi-space grow up to `bytes` and no further. V8 reads its own limit only at start, but the growth factor at each
 * collection, so the factor is set again after each one. V8 shrinks the young generation by itself when there is little to do.
 */
function boundYoung(bytes: number): void {
  let factor = 1;
  new PerformanceObserver(() => {
    const young = getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space');
    if (young === undefined) return;
    const wanted = (young.space_used_size + young.space_available_size) * 2 <= bytes ? 2 : 1;
    if (wanted !== factor) setFlagsFromString(`--semi-space-growth-factor=${wanted}`);
    factor = wanted;
  }).observe({ entryTypes: ['gc'] });
}
