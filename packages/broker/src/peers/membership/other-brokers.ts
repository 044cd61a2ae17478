import type { RoutedBroker } from '../routes/route-rows.ts';
import type { KnownBroker } from './broker-lives.ts';
import type { HeardPlace, PeerPlace } from './peer-places.ts';

// Which other brokers there are. Any host can write rows that name any number of brokers. A broker that has spoken here has shown
// a certificate, and so comes before those that rows name. Pure.

/** Another broker, as far as this one knows it. */
export interface OtherBroker {
  brokerId: string;
  /** Where it is dialled, `host:port`. */
  address: string;
  isDead: boolean;
  /** For how long its heartbeat has stood still, in ms. undefined: it has none. */
  stillMs: number | undefined;
  /** How many hosts have a route to it. */
  routes: number;
}

export interface OthersKnown {
  /** The id of this broker. */
  ownId: string;
  /** The brokers with a heartbeat. */
  lives: readonly KnownBroker[];
  /** The brokers with routes, this one included. */
  routed: Iterable<RoutedBroker>;
  /** The brokers that have spoken here. */
  heard: readonly HeardPlace[];
}

/** The most brokers that are listed. */
const mostOthers = 250;

/**
 * Returns the other brokers, those that are dead first. Where there are more than `most`, those that have spoken here are kept
 * first, then those that live, then those that are dead.
 */
export function listOthers({ ownId, lives, routed, heard }: OthersKnown, most = mostOthers): OtherBroker[] {
  const spoken = new Set(heard.map(({ brokerId }) => brokerId));
  const found = new Map<string, OtherBroker>();
  for (const { brokerId, address, isDead, stillMs } of lives)
    found.set(brokerId, { brokerId, address, isDead, stillMs, routes: 0 });
  let room = most;
  for (const { brokerId, address, routes } of routed) {
    if (brokerId === ownId) continue;
    const known = found.get(brokerId);
    if (known !== undefined) known.routes = routes;
    else if (spoken.has(brokerId) || room > 0) {
      found.set(brokerId, { brokerId, address, isDead: false, stillMs: undefined, routes });
      room -= 1;
    }
  }
  const rank = ({ brokerId, isDead }: OtherBroker) => (spoken.has(brokerId) ? 0 : isDead ? 2 : 1);
  const byId = (a: OtherBroker, b: OtherBroker) => (a.brokerId < b.brokerId ? -1 : 1);
  return [...found.values()]
    .sort((a, b) => rank(a) - rank(b) || byId(a, b))
    .slice(0, most)
    .sort((a, b) => Number(b.isDead) - Number(a.isDead) || byId(a, b));
}

/** How long a broker counts as speaking here after its last word, in ms. It asks for revoked tokens every 20 s. */
const freshMs = 60_000;
/** The most brokers that only routes name and that are asked for revoked tokens. */
const mostRouted = 1000;

/**
 * Yields the brokers to ask for revoked tokens. A broker whose heartbeat stands still is asked all the same while it speaks here:
 * it may be Corrosion that stands still, and a host can bring that about.
 */
export function* brokersToHear({ lives, routed, heard }: Omit<OthersKnown, 'ownId'>): Iterable<PeerPlace> {
  const dead = new Set(lives.filter(({ isDead }) => isDead).map(({ brokerId }) => brokerId));
  for (const { brokerId, address, agoMs } of heard)
    if (agoMs < freshMs || !dead.has(brokerId)) yield { brokerId, address };
  for (const { brokerId, address } of lives) if (!dead.has(brokerId)) yield { brokerId, address };
  let room = mostRouted;
  for (const { brokerId, address } of routed) {
    if (dead.has(brokerId)) continue;
    if (room === 0) return;
    room -= 1;
    yield { brokerId, address };
  }
}
