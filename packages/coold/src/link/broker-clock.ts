import type { Registry } from 'prom-client';
import { scrapedMetrics } from '../scraped-metrics.ts';

/** Compares this host's clock with the broker's, using the `date` header of the broker's answers. */
export interface BrokerClock {
  /** Records the date of an answer in HTTP's format. Another text, or none, is ignored. */
  told(date: unknown): void;
  /** Returns how far this host's clock is ahead in ms, negative when behind; undefined before the broker's first date. */
  aheadMs(): number | undefined;
  /** Whether the clocks differ so much that tokens and certificates are judged wrongly. */
  isOff(): boolean;
}

/** The difference of clocks that tokens allow, in ms (docs/contract.md §1). */
const toleratedMs = 60_000;
/** `date` has whole seconds, so on average half of the next second has passed, in ms. */
const halfSecondMs = 500;

/** @param now of the clock that may be wrong, in ms since 1970 @param monotonic in ms */
export function createBrokerClock(
  now: () => number = Date.now,
  monotonic: () => number = () => performance.now(),
): BrokerClock {
  let known: { brokerMs: number; at: number } | undefined;
  // Between two answers the broker's time advances by the monotonic clock, because this host's own clock may be set
  // meanwhile.
  const aheadMs = () => (known === undefined ? undefined : now() - (known.brokerMs + monotonic() - known.at));
  return {
    told(date) {
      const brokerMs = typeof date === 'string' ? Date.parse(date) : Number.NaN;
      if (Number.isFinite(brokerMs)) known = { brokerMs: brokerMs + halfSecondMs, at: monotonic() };
    },
    aheadMs,
    isOff: () => Math.abs(aheadMs() ?? 0) > toleratedMs,
  };
}

/** Registers the metric of the clock. */
export function watchBrokerClock(registry: Registry, clock: Pick<BrokerClock, 'aheadMs'>): void {
  const help =
    "How far this host's clock is ahead of the broker's; below 0: behind; absent until the broker has answered";
  // Labelled, because a gauge without labels reads 0 while the value is unknown.
  scrapedMetrics(registry).gauges('coold_clock_ahead_seconds', help, 'of', () => {
    const ahead = clock.aheadMs();
    return ahead === undefined ? [] : [['broker', ahead / 1000]];
  });
}
