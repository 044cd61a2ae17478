/** The places that builds run in, and the queue before them: first come, first served. Pure. */
export interface Places {
  /** Takes one in line. */
  enter(requestId: string): void;
  /** One that runs already: it has a place whether there is one or not. */
  seat(requestId: string): void;
  /** It has ended, or waits no longer. */
  leave(requestId: string): void;
  /** The next ones that have a place now; they run from here on. */
  admit(): string[];
  /** Those that wait, first to last. */
  waiting(): readonly string[];
  running(): number;
}

export function createPlaces(capacity: number): Places {
  const queue: string[] = [];
  const seated = new Set<string>();
  return {
    enter: requestId => void queue.push(requestId),
    seat: requestId => void seated.add(requestId),
    leave(requestId) {
      seated.delete(requestId);
      const at = queue.indexOf(requestId);
      if (at >= 0) queue.splice(at, 1);
    },
    admit() {
      const next = queue.splice(0, Math.max(0, capacity - seated.size));
      for (const requestId of next) seated.add(requestId);
      return next;
    },
    waiting: () => queue,
    running: () => seated.size,
  };
}
