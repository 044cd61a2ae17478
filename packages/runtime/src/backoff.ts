/** Exponential backoff with full jitter: each wait is drawn from zero up to a ceiling that doubles. */
export interface Backoff {
  /** Milliseconds to wait before the next try. */
  next(): number;
  /** The next wait is short again: what was tried has worked. */
  reset(): void;
}

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
