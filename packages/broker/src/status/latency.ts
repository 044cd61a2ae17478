/** How many took at most so many ms; cumulative, the last without a limit. */
export interface Bucket {
  ms: number;
  count: number;
}

/** In seconds: from an answer on the same machine to the longest deadline of a verb. */
const usualLimits = [
  ...[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 7.5],
  ...[10, 16, 30, 60, 120, 310],
];

/**
 * The limits of a histogram of dispatches, in seconds. A timeout ends moments after its time: a limit right there keeps
 * timeouts apart from answers that took anything up to the next limit.
 */
export function latencyLimits(timeoutSecs: number): number[] {
  const ofTimeout = [timeoutSecs, timeoutSecs + Math.max(0.25, timeoutSecs * 0.025)];
  const [exact = 0, late = 0] = ofTimeout;
  const others = usualLimits.filter(limit => limit < exact || limit > late);
  return [...others, ...ofTimeout].sort((a, b) => a - b);
}

/** A value of a histogram, as prom-client gives it. */
interface Sample {
  labels: Partial<Record<string, string | number>>;
  value: number;
  metricName?: string;
}

/** The outcomes that a host took part in: a request that was refused at once says nothing about the speed of hosts. */
const ofHosts: readonly unknown[] = ['ok', 'host error', 'bad answer', 'timeout'];

/**
 * Sums a histogram by `outcome`, and over all verbs the buckets of the outcomes in `timed`: those that a host took part
 * in.
 */
export function readBuckets(
  samples: readonly Sample[],
  timed: readonly unknown[] = ofHosts,
): { byOutcome: Record<string, number>; latency: Bucket[] } {
  const byOutcome: Record<string, number> = {};
  const latency = new Map<number, number>();
  for (const { labels, value, metricName = '' } of samples) {
    const { outcome, le } = labels;
    if (metricName.endsWith('_count') && outcome !== undefined)
      byOutcome[outcome] = (byOutcome[outcome] ?? 0) + value;
    if (!metricName.endsWith('_bucket') || !timed.includes(outcome)) continue;
    const ms = le === '+Inf' ? Number.POSITIVE_INFINITY : Number(le) * 1000;
    latency.set(ms, (latency.get(ms) ?? 0) + value);
  }
  const sorted = [...latency].sort(([a], [b]) => a - b);
  return { byOutcome, latency: sorted.map(([ms, count]) => ({ ms, count })) };
}

/**
 * Returns the time in ms within which a share `q` of them ended, linear within its bucket, as Prometheus computes it;
 * undefined when there are none. Beyond the last limit, returns that limit.
 */
export function quantile(buckets: readonly Bucket[], q: number): number | undefined {
  const total = buckets.at(-1)?.count ?? 0;
  if (total === 0) return undefined;
  const rank = q * total;
  let below: Bucket = { ms: 0, count: 0 };
  for (const bucket of buckets) {
    if (bucket.count >= rank && bucket.count > below.count) {
      if (bucket.ms === Number.POSITIVE_INFINITY) return below.ms;
      return below.ms + ((bucket.ms - below.ms) * (rank - below.count)) / (bucket.count - below.count);
    }
    below = bucket;
  }
  return below.ms;
}
