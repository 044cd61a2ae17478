/** Calls back each waiter that has waited too long. All wait for the same time, so one timer serves them all. */
export interface DeadlineQueue {
  /** @returns a handle for `end`, when it no longer waits */
  begin(onDeadline: () => void): Waiting;
  end(waiting: Waiting): void;
}

/** A node of a circular list, ordered by the start of waiting. */
export class Waiting {
  readonly since: number;
  readonly onDeadline: () => void;
  /** The node itself when it does not wait. */
  before: Waiting = this;
  after: Waiting = this;

  constructor(since: number, onDeadline: () => void) {
    this.since = since;
    this.onDeadline = onDeadline;
  }
}

/** @param ms how long each may wait @param now monotonic, in ms */
export function createDeadlineQueue(ms: number, now: () => number = () => performance.now()): DeadlineQueue {
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
      first.onDeadline();
    }
    isTimed = false;
  };
  return {
    begin(onDeadline) {
      const waiting = new Waiting(now(), onDeadline);
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
