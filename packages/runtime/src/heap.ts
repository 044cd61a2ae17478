import { PerformanceObserver } from 'node:perf_hooks';
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8';

/**
 * What a program's heap is kept for: `small` where memory counts more than speed, `busy` where it answers thousands of
 * requests a second.
 */
export type HeapUse = 'small' | 'busy';

/** Bytes of the young generation's half in use, in a busy program. */
const busyYoungBytes = 4 * 1024 * 1024;
/** How far a busy program's old generation grows before V8 collects it, in percent of what lived the last time. */
const busyGrowingPercent = 50;

/**
 * Bounds what V8 keeps beside what lives. What a request allocates is garbage within milliseconds; V8 would let it fill
 * 64 MB before it looks, and carry into the old heap what lives just then. Said here, not to Node as it starts, which would
 * then throw its own compiled code away and take twice as long.
 *
 * `small`: it looks at every megabyte, and collects the old heap as soon as it grows: V8 would keep 70 MB of what coold's
 * reading of 10,000 rules once has left behind.
 *
 * `busy`: at every 4 MB. With `small` a broker under 64 dispatches at a time spends more than half of its time collecting,
 * for most of a megabyte is still in use when it is full: 267 µs of CPU a dispatch, at 1 MB without the rest of `small`
 * 170, at 2 MB 147, at 4 MB 137, at 8 and 16 MB no less. Unbounded it is 119, but what is passed on to a slow reader piles
 * up in buffers that only the next collection finds unused: 86 MB, where it is 25 at 4 MB and at 1.
 */
export function keepHeap(use: HeapUse): void {
  setFlagsFromString('--semi-space-growth-factor=1');
  switch (use) {
    case 'small':
      setFlagsFromString('--optimize-for-size');
      return;
    case 'busy':
      setFlagsFromString(`--heap-growing-percent=${busyGrowingPercent}`);
      boundYoung(busyYoungBytes);
  }
}

/**
 * Lets the young generation grow up to `bytes` and no further. Its own limit is read once, when V8 starts; how far it grows
 * at a time is read each time. So that is said anew after each collection. V8 itself shrinks it when there is little to do.
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
