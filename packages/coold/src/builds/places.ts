/** The places in which builds run, and the queue for them, first in, first out. Pure. */
export interface Places {
  /** Appends a build to the queue. */
  enter(requestId: string): void;
  /** Gives a place to a build that runs already, even beyond the capacity. */
  seat(requestId: string): void;
  /** Removes a build from its place or from the queue. */
  leave(requestId: string): void;
  /** Gives the free places to the next builds in the queue, and returns those. */
  admit(): string[];
  /** Returns the builds in the queue, first to last. */
  waiting(): readonly string[];
  /** Returns the number of places taken. */
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
