import type { Logger } from '@coold/runtime';

/** Packets that were let through at one place, and those of them that came out behind everything else that may drop them. */
export interface Passage {
  began: number;
  arrived: number;
}

export interface ArrivalsOptions {
  /** What has been counted so far at a place; undefined: nothing counts there. Rejects when it cannot be told. */
  read: (place: string) => Promise<Passage | undefined>;
  /** Says what was lost. */
  describe: (place: string, lost: Passage) => Promise<string>;
  /** So many looks after each other have to find a loss: one may fall into a change of rules. Default: 1 */
  looks?: number;
  log: Logger;
}

/**
 * Compares what began and what arrived from one look to the next, and tells what gets lost, until it arrives again. The
 * kernel counts real traffic, which no test packet of ours could stand for. Never rejects; undefined also where it is not
 * known.
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
      // Where nothing began, what was so stays so.
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
