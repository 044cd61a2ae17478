import type { Logger } from '@coold/runtime';

/**
 * The number of packets that passed a first point, and the number of those that also passed everything else that may
 * drop them.
 */
export interface Passage {
  began: number;
  arrived: number;
}

export interface ArrivalsOptions {
  /** Reads the counters of a place; undefined when nothing counts there. Rejects when they cannot be read. */
  read: (place: string) => Promise<Passage | undefined>;
  /** Describes what was lost. */
  describe: (place: string, lost: Passage) => Promise<string>;
  /**
   * The number of consecutive checks that have to find a loss, because one check may fall into a change of rules.
   * Default: 1
   */
  looks?: number;
  log: Logger;
}

/**
 * Compares the counters of both points between checks, and reports losses until packets arrive again. The kernel counts
 * real traffic, which no test packet of ours could replace. Never rejects; returns undefined also when the counters
 * cannot be read.
 */
export function createArrivals(options: ArrivalsOptions): (place: string) => Promise<string | undefined> {
  const { read, describe, looks = 1, log } = options;
  const places = new Map<string, { before: Passage; losses: number; lost: string | undefined }>();
  return async place => {
    const known = places.get(place);
    try {
      const now = await read(place);
      if (now === undefined) {
        places.delete(place);
        return undefined;
      }
      if (known === undefined) {
        places.set(place, { before: now, losses: 0, lost: undefined });
        return undefined;
      }
      const began = now.began - known.before.began;
      const arrived = Math.max(now.arrived - known.before.arrived, 0);
      known.before = now;
      // Without new packets the last result stands.
      if (began > arrived) {
        known.losses += 1;
        if (known.losses >= looks) known.lost = await describe(place, { began, arrived });
      } else if (arrived > 0) {
        known.losses = 0;
        known.lost = undefined;
      }
    } catch (error) {
      log.debug({ err: error, place }, 'it is not known whether packets get lost in this host');
    }
    return known?.lost;
  };
}
