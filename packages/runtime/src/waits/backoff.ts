/** Exponential backoff with full jitter: each wait is drawn from zero up to a ceiling that doubles. */
export interface Backoff {
  /** Returns how long to wait before the next attempt, in ms. */
  next(): number;
  /** Makes the next wait short again, after an attempt that succeeded. */
  reset(): void;
}

/** @param options.firstMs the ceiling of the first wait @param options.maxMs the highest ceiling, both in ms */
export function createBackoff(options: { firstMs: number; maxMs: number; random?: () => number }): Backoff {
  const { firstMs, maxMs, random = Math.random } = options;
  let ceiling = firstMs;
  return {
    next() {
      const wait = Math.floor(random() * ceiling);
      ceiling = Math.min(ceiling * 2, maxMs);
      return wait;
    },
    reset() {
      ceiling = firstMs;
    },
  };
}
