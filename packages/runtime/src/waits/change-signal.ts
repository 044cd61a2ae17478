/**
 * Wakes every waiter each time that something changes. A wait that ends early leaves nothing behind, unlike a race against a
 * long-lived promise, which keeps one reaction for each race until it settles.
 */
export interface ChangeSignal {
  announce(): void;
  /**
   * Returns how many changes were announced so far. Read it before checking a condition, and pass it to `later`: a
   * change during the check then ends the wait.
   */
  count(): number;
  /** Resolves once more than `seen` changes were announced, after `ms`, or when `stop` aborts. Never rejects. */
  later(seen: number, ms: number, stop?: AbortSignal): Promise<void>;
}

export function createChangeSignal(): ChangeSignal {
  let announced = 0;
  const waiting = new Set<() => void>();
  return {
    announce() {
      announced += 1;
      for (const wake of [...waiting]) wake();
    },
    count: () => announced,
    later: (seen, ms, stop) =>
      new Promise(resolve => {
        if (announced > seen || stop?.aborted === true) return resolve();
        const wake = () => {
          clearTimeout(timer);
          stop?.removeEventListener('abort', wake);
          waiting.delete(wake);
          resolve();
        };
        const timer = setTimeout(wake, ms);
        stop?.addEventListener('abort', wake, { once: true });
        waiting.add(wake);
      }),
  };
}
