/** What is told of a name: its address, or that there is none. */
export type Seen = string;

/** What was true of a container, and when; times in ms of one clock. */
export interface History {
  /** Something is about to happen to it. @returns what to call with what is true afterwards; undefined: no address */
  change(at: number): (at: number, address: string | undefined) => void;
  /** Whether this was true at some moment of the window, or may have been; to be asked once nothing is under way. */
  allows(seen: Seen, window: { from: number; to: number }): boolean;
}

const missing: Seen = 'missing';

/** Of a container that does not exist yet. Pure but for what it is told. */
export function createHistory(at: number): History {
  /** Each until the next is known: while something happens, both the old and the new may be seen. */
  const states: { seen: Seen; from: number; to: number }[] = [
    { seen: missing, from: at, to: Number.POSITIVE_INFINITY },
  ];
  return {
    change(begunAt) {
      return (endedAt, address) => {
        const last = states.at(-1);
        if (last !== undefined) last.to = endedAt;
        // A restart is an absence in between.
        states.push({ seen: missing, from: begunAt, to: endedAt });
        states.push({ seen: address ?? missing, from: begunAt, to: Number.POSITIVE_INFINITY });
      };
    },
    allows: (seen, { from, to }) =>
      states.some(state => state.seen === seen && state.from <= to && state.to >= from),
  };
}
