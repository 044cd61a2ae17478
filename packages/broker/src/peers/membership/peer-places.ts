/** A broker, and where it is dialled. */
export interface PeerPlace {
  brokerId: string;
  /** `host:port` */
  address: string;
}

/** A broker that has spoken here. */
export interface HeardPlace extends PeerPlace {
  /** How long ago it last did, in ms. */
  agoMs: number;
}

/** Brokers that have spoken here: one without hosts has no route by which others would know of it. */
export interface PeerPlaces {
  heard(peer: PeerPlace): void;
  /** Those that spoke not long ago. */
  list(): HeardPlace[];
}

/** How long after its last word a broker is still dialled, in ms. */
const keptMs = 600_000;
/** As many as have connections. */
const max = 256;

/** @param now monotonic, ms */
export function createPeerPlaces(now: () => number = () => performance.now()): PeerPlaces {
  const places = new Map<string, { peer: PeerPlace; at: number }>();
  return {
    heard(peer) {
      const isKnown = places.delete(peer.brokerId);
      if (isKnown || places.size < max) places.set(peer.brokerId, { peer, at: now() });
    },
    list() {
      const at = now();
      for (const [id, place] of places) if (at - place.at > keptMs) places.delete(id);
      return [...places.values()].map(place => ({ ...place.peer, agoMs: at - place.at }));
    },
  };
}
