/** Calls back for each of many that waits for longer than a time that is the same for all: with one timer, not one each. */
export interface Lapse {
  /** @returns to be given to `end` when it waits no more */
  begin(onLapse: () => void): Waiting;
  end(waiting: Waiting): void;
}

/** One of a ring, in which those that wait stand in the order in which they began. */
export class Waiting {
  readonly since: number;
  readonly onLapse: () => void;
  /** Itself, when it does not wait. */
  before: Waiting = this;
  after: Waiting = this;

  constructor(since: number, onLapse: () => void) {
    this.since = since;
    this.onLapse = onLapse;
  }
}

/** @param ms that each may wait @param now monotonic, ms */
export function createLapse(ms: number, now: () => number = () => performance.now()): Lapse {
  const ends = new Waiting(0, () => {});
  let isTimed = false;

  function end(waiting: Waiting): void {
    waiting.before.after = waiting.after;
    waiting.after.before = waiting.before;
    waiting.before = waiting.after = waiting;
  }

  const look = () => {
    for (let first = ends.after; first !== ends; first = ends.after) {
      const left = first.since + ms - now();
      if (left > 0) {
        setTimeout(look, Math.ceil(left));
        return;
      }
      end(first);
      first.onLapse();
    }
    isTimed = false;
  };
  return {
    begin(onLapse) {
      const waiting = new Waiting(now(), onLapse);
      waiting.before = ends.before;
      waiting.after = ends;
      ends.before.after = waiting;
      ends.before = waiting;
      if (!isTimed) setTimeout(look, ms);
      isTimed = true;
      return waiting;
    },
    end,
  };
}
