import type { HostWatch } from './hosts.ts';

/** A host that was connected and has not returned. */
export interface AwayHost {
  hostId: string;
  /** When its stream ended, in ms since 1970. */
  since: number;
}

/** Remembers for a day which hosts have left, so that a broker that lost half of them does not report itself healthy. */
export interface AwayHosts extends HostWatch {
  /** Returns the hosts that have been away long enough to be missed, longest first. */
  list(): AwayHost[];
}

/** A host that restarts or redials is back within this time, in ms. */
const missedAfterMs = 120_000;
/** A host that is away for longer counts as removed from the fleet, in ms. */
const forgottenAfterMs = 24 * 3_600_000;
/** The most hosts of a broker. */
const maxRemembered = 20_000;

/** @param isAtOtherBroker whether another broker has the host now */
export function createAwayHosts(
  isAtOtherBroker: (hostId: string) => boolean,
  now: () => number = Date.now,
): AwayHosts {
  // In the order in which they left, because maps keep insertion order.
  const left = new Map<string, number>();
  return {
    added: ({ hostId }) => void left.delete(hostId),
    removed(hostId) {
      left.delete(hostId);
      left.set(hostId, now());
      const [oldest] = left.keys();
      if (left.size > maxRemembered && oldest !== undefined) left.delete(oldest);
    },
    list() {
      const away: AwayHost[] = [];
      for (const [hostId, since] of left) {
        const forMs = now() - since;
        if (forMs >= forgottenAfterMs || isAtOtherBroker(hostId)) left.delete(hostId);
        else if (forMs >= missedAfterMs) away.push({ hostId, since });
      }
      return away;
    },
  };
}
