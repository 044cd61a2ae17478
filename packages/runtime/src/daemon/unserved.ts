import type { Address } from '../config/values.ts';

/** What a program serves at an address of its own. */
export type ServedThing = 'rest' | 'metrics';

/** An address that a program is told to listen at, and cannot. */
export interface UnservedAddress {
  what: ServedThing;
  address: string;
  /** In the system's words. */
  problem: string;
}

const names: Record<ServedThing, { what: string; is: string }> = {
  rest: { what: 'the REST API', is: 'is' },
  metrics: { what: 'metrics', is: 'are' },
};

/** Knows which addresses a program is told to listen at and cannot: the program goes on without them, so its status says it. */
export interface Unserved {
  /** @returns to be called with why it cannot be listened at; undefined: it can */
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

/** The problem as a sentence for people. Pure. */
export function unservedProblem({ what, address, problem }: UnservedAddress): string {
  return `${names[what].what} ${names[what].is} not served on ${address}, which is tried again: ${problem}`;
}

/** The same of a program that was just started. Pure. */
export function unservedYet({ what, address }: UnservedAddress): string {
  return `${names[what].what} on ${address}`;
}
