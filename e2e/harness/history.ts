/** What an asker got for a name: its address, or that it does not exist. */
export type Seen = string;

/** What was true of a container, and when. Times are in ms of one clock. */
export interface History {
  /**
   * Call before a change.
   *
   * @returns a function to call with what is true afterwards, and what happened; without an address the name does not
   * exist
   */
  change(at: number): (at: number, address: string | undefined, what?: string) => void;
  /** Whether this was true, or may have been, at some moment of the window. Call it once no change is in progress. */
  allows(seen: Seen, window: { from: number; to: number }): boolean;
  /** Returns how long before a moment this was last true, in ms; 0 when it was true then; undefined when it never was. */
  age(seen: Seen, at: number): number | undefined;
  /**
   * Describes what happened within the window, with the change before and after it, for people. Times are in s from
   * `at`.
   */
  tell(at: number, window: { from: number; to: number }): string;
}

const missing: Seen = 'missing';

/** Starts the history of a container that does not exist yet. */
export function createHistory(at: number): History {
  /** Each state lasts until the next is known: during a change both the old and the new may be seen. */
  const states: { seen: Seen; from: number; to: number }[] = [
    { seen: missing, from: at, to: Number.POSITIVE_INFINITY },
  ];
  const changes: { what: string; seen: Seen; from: number; to: number }[] = [];
  return {
    change(begunAt) {
      return (endedAt, address, what = 'changed') => {
        changes.push({ what, seen: address ?? missing, from: begunAt, to: endedAt });
        const last = states.at(-1);
        if (last !== undefined) last.to = endedAt;
        // A restart makes the container absent in between.
        states.push({ seen: missing, from: begunAt, to: endedAt });
        states.push({ seen: address ?? missing, from: begunAt, to: Number.POSITIVE_INFINITY });
      };
    },
    allows: (seen, { from, to }) =>
      states.some(state => state.seen === seen && state.from <= to && state.to >= from),
    age(seen, at) {
      const ages = states
        .filter(state => state.seen === seen && state.from <= at)
        .map(({ to }) => Math.max(0, at - to));
      return ages.length === 0 ? undefined : Math.min(...ages);
    },
    tell(asked, { from, to }) {
      const before = changes.filter(change => change.to < from).slice(-1);
      const within = changes.filter(change => change.to >= from && change.from <= to);
      const after = changes.filter(change => change.from > to).slice(0, 1);
      const told = [...before, ...within, ...after].map(
        change =>
          `${secondsFrom(asked, change.from)} to ${secondsFrom(asked, change.to)}: ${change.what}, then ${change.seen}`,
      );
      return told.length === 0 ? 'nothing happened to it' : told.join('; ');
    },
  };
}

/** Formats a time as seconds before or after another, for people. Pure. */
export function secondsFrom(at: number, time: number): string {
  const seconds = (time - at) / 1000;
  return Number.isFinite(seconds) ? `${seconds < 0 ? '' : '+'}${seconds.toFixed(1)} s` : 'now';
}
