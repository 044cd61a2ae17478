/** Calls back for each of many that waits for longer than a time that is the same for all: with one timer, not one each. */
export interface Lapse {
  /** @returns to be given to `end` when it waits no more */
  begin(onLapse: () => void): Waiting;
  end(waiting: Waiting): void;
}

export interface Waiting {
  readonly since: number;
  onLapse(): void;
}

/** @param ms that each may wait @param now monotonic, ms */
export function createLapse(ms: number, now: () => number = () => performance.now()): Lapse {
  /** The one that waits longest is the first. */
  const all = new Set<Waiting>();
  let isTimed = false;

  const look = () => {
    for (const waiting of all) {
      const left = waiting.since + ms - now();
      if (left > 0) {
        setTimeout(look, Math.ceil(left));
        return;
      }
      all.delete(waiting);
      waiting.onLapse();
    }
    isTimed = false;
  };
  return {
    begin(onLapse) {
      const waiting = { since: now(), onLapse };
      all.add(waiting);
      if (!isTimed) setTimeout(look, ms);
      isTimed = true;
      return waiting;
    },
    end: waiting => void all.delete(waiting),
  };
}
