/** A host whose stream was replaced again and again: two machines use its token, or its network fails repeatedly. */
export interface ContestedHost {
  hostId: string;
  /** Replacements within `windowMs`. */
  replacements: number;
  /** The addresses that streams of it came from, the latest last. */
  addresses: readonly string[];
}

/** Remembers whose streams were replaced while they were alive. */
export interface ContestedHosts {
  /** Call when a stream from `address` replaces a live stream of the host. */
  replaced(hostId: string, address: string): void;
  list(): ContestedHost[];
}

/** Replacements within this time count, in ms. */
const windowMs = 10 * 60_000;
/** A host that dials again before the broker notices that its connection is lost replaces its stream, too, but not this often. */
const leastReplacements = 4;
const maxAddresses = 4;
/** The most hosts that are remembered; the host that was replaced longest ago goes first. */
const maxHosts = 1000;

/** @param now monotonic, in ms */
export function createContestedHosts(now: () => number = () => performance.now()): ContestedHosts {
  // The latest replacement last, because an entry is put in again each time.
  const seen = new Map<string, { at: number[]; addresses: string[] }>();
  return {
    replaced(hostId, address) {
      const { at, addresses } = seen.get(hostId) ?? { at: [], addresses: [] };
      seen.delete(hostId);
      seen.set(hostId, {
        at: [...at.filter(each => now() - each < windowMs), now()].slice(-100),
        addresses: [...addresses.filter(each => each !== address), address].slice(-maxAddresses),
      });
      const [oldest] = seen.keys();
      if (seen.size > maxHosts && oldest !== undefined) seen.delete(oldest);
    },
    list() {
      const contested: ContestedHost[] = [];
      for (const [hostId, { at, addresses }] of seen) {
        const replacements = at.filter(each => now() - each < windowMs).length;
        if (replacements === 0) seen.delete(hostId);
        if (replacements >= leastReplacements) contested.push({ hostId, replacements, addresses });
      }
      return contested;
    },
  };
}
