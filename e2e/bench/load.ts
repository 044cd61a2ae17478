/** The result of a load; latencies in ms. */
export interface Measurement {
  requests: number;
  /** Requests per second. */
  rate: number;
  p50: number;
  p99: number;
}

/** Keeps `concurrency` requests in flight for `durationMs`. A request that throws ends the run. */
export async function closedLoop(
  request: () => Promise<void>,
  { concurrency, durationMs }: { concurrency: number; durationMs: number },
): Promise<Measurement> {
  const latencies: number[] = [];
  const begun = performance.now();
  const end = begun + durationMs;
  const worker = async () => {
    for (let now = performance.now(); now < end; ) {
      await request();
      const after = performance.now();
      latencies.push(after - now);
      now = after;
    }
  };
  await Promise.all(Array.from({ length: concurrency }, worker));
  return summarise(latencies, performance.now() - begun);
}

/** Summarises the rounds of one subject; `elapsedMs` is their total time. */
export function summarise(latencies: number[], elapsedMs: number): Measurement {
  const sorted = latencies.toSorted((a, b) => a - b);
  const at = (share: number) =>
    sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
  return { requests: sorted.length, rate: (sorted.length / elapsedMs) * 1000, p50: at(0.5), p99: at(0.99) };
}

/** Returns the median of several rounds for each figure, so that one disturbed round does not decide. */
export function median(rounds: Measurement[]): Measurement {
  const middle = (of: (round: Measurement) => number) =>
    rounds.map(of).toSorted((a, b) => a - b)[Math.floor(rounds.length / 2)] ?? Number.NaN;
  return {
    requests: rounds.reduce((sum, round) => sum + round.requests, 0),
    rate: middle(round => round.rate),
    p50: middle(round => round.p50),
    p99: middle(round => round.p99),
  };
}
