import type { Address } from '../config/values.ts';

/** What a program serves at an address of its own. */
export type ServedThing = 'rest' | 'metrics';

/** An address that a program is configured to listen on, and cannot. */
export interface UnservedAddress {
  what: ServedThing;
  address: string;
  /** The system's error message. */
  problem: string;
}

const names: Record<ServedThing, { what: string; is: string }> = {
  rest: { what: 'the REST API', is: 'is' },
  metrics: { what: 'metrics', is: 'are' },
};

/**
 * Records the addresses that a program is configured to listen on and cannot. The program runs without them, and its
 * status lists them.
 */
export interface Unserved {
  /** @returns a function to call with the reason why it cannot listen; undefined: it can */
  note(what: ServedThing, bind: Address): (why: string | undefined) => void;
  list(): UnservedAddress[];
}

export function createUnserved(): Unserved {
  const known = new Map<ServedThing, UnservedAddress>();
  return {
    note: (what, { host, port }) => {
      const address = `${host.includes(':') ? `[${host}]` : host}:${port}`;
      return why => {
        if (why === undefined) known.delete(what);
        else known.set(what, { what, address, problem: why });
      };
    },
    list: () => [...known.values()],
  };
}

/** Returns the problem as a sentence for people. Pure. */
export function unservedProblem({ what, address, problem }: UnservedAddress): string {
  return `${names[what].what} ${names[what].is} not served on ${address}, which is tried again: ${problem}`;
}

/** Returns the same for a program that was just started. Pure. */
export function unservedYet({ what, address }: UnservedAddress): string {
  return `${names[what].what} on ${address}`;
}
