/** So many took at most so many ms; cumulative, the last without a limit. */
export interface Bucket {
  ms: number;
  count: number;
}

/** In seconds: from an answer of the same machine to the longest deadline that a verb has. */
const usualLimits = [
  ...[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 7.5],
  ...[10, 16, 30, 60, 120, 310],
];

/**
 * The limits of a histogram of dispatches, in seconds. A timeout ends moments after its time: with a limit just there, a share
 * of timeouts is not read as a share of answers that took anything up to the next limit.
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

/** Outcomes that a host has answered or not: what was refused at once says nothing of how fast hosts are. */
const ofHosts: readonly unknown[] = ['ok', 'host error', 'bad answer', 'timeout'];

/** Sums a histogram by `outcome`, and over all verbs the buckets of the outcomes that are `timed`: those that a host had a part in. */
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
 * The time in ms that a share `q` of them took at most, linear within its bucket, as Prometheus does it; undefined when
 * there are none. Beyond the last limit, that limit.
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
