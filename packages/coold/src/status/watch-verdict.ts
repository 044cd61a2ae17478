import type { Verdict } from '@coold/runtime';
import type { Registry } from 'prom-client';
import { scrapedMetrics } from '../scraped-metrics.ts';

/** Registers the number of problems. */
export function watchVerdict(registry: Registry, verdict: Pick<Verdict, 'count'>): void {
  scrapedMetrics(registry).gauge(
    'coold_problems',
    'How many problems `coold status` names, as of the last quarter of a minute',
    () => verdict.count(),
  );
}
