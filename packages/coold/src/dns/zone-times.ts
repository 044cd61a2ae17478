import { sharedCells } from './counts.ts';
import type { CountedDurations } from './shared-histogram.ts';

/**
 * How long answers of the zone take. One question in `sampled` is measured, because reading clocks would cost a good
 * part of an answer.
 */
export interface ZoneTimes {
  /** Call at the beginning of a question. @returns the time in ms; 0 when this one is not measured */
  begin(): number;
  /** Call when the question has been answered. */
  took(beganAt: number): void;
}

/** One question in this many is measured; a power of two. */
export const sampled = 64;

/** In seconds: from a ready answer to one that waited for a busy main thread. */
export const zoneTimeLimits = [
  ...[0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5, 1],
] as const;

/** Memory that threads share: a cell per limit, one for longer durations, and the sum in microseconds. */
export type ZoneTimesMemory = BigInt64Array<ArrayBufferLike>;

const sumCell = zoneTimeLimits.length + 1;

export function createZoneTimesMemory(): ZoneTimesMemory {
  return sharedCells(sumCell + 1);
}

/** @param now monotonic, in ms */
export function createZoneTimes(
  cells: ZoneTimesMemory,
  now: () => number = () => performance.now(),
): ZoneTimes {
  let count = 0;
  return {
    begin() {
      count = (count + 1) & (sampled - 1);
      return count === 0 ? now() : 0;
    },
    took(beganAt) {
      const seconds = (now() - beganAt) / 1000;
      const at = zoneTimeLimits.findIndex(limit => seconds <= limit);
      Atomics.add(cells, at < 0 ? zoneTimeLimits.length : at, 1n);
      Atomics.add(cells, sumCell, BigInt(Math.round(seconds * 1e6)));
    },
  };
}

/** Returns what all threads have measured. */
export function readZoneTimes(cells: ZoneTimesMemory): CountedDurations {
  let sum = 0;
  const cumulative = Array.from({ length: zoneTimeLimits.length + 1 }, (_, at) => {
    sum += Number(Atomics.load(cells, at));
    return sum;
  });
  return { cumulative, sumSeconds: Number(Atomics.load(cells, sumCell)) / 1e6 };
}
