import type { Logger } from '@coold/runtime';
import type { Route } from '../routes/route.ts';
import type { Credentials } from './credentials.ts';
import { PeerError } from './peer-call.ts';
import { createPeerLink, type PeerLink } from './peer-link.ts';

/** The ways to the other brokers, each made when it is first needed. */
export interface PeerLinks {
  /** @throws PeerError when there are too many */
  to(peer: Pick<Route, 'brokerId' | 'address'>): PeerLink;
  /** As of the link. */
  renew(): void;
  count(): number;
  close(): void;
}

export interface PeerLinksOptions {
  credentials: () => Credentials;
  connectTimeoutMs: number;
  log: Logger;
}

/** Whoever can write routes can name any number of brokers. */
const maxLinks = 256;
/** A link that was not used for so long is closed, in ms. */
const idleMs = 300_000;
const sweepMs = 60_000;

export function createPeerLinks({ credentials, connectTimeoutMs, log }: PeerLinksOptions): PeerLinks {
  const links = new Map<string, { link: PeerLink; usedAt: number }>();

  function sweep(olderThanMs: number): void {
    for (const [key, { link, usedAt }] of links) {
      if (link.count() > 0 || performance.now() - usedAt < olderThanMs) continue;
      link.close();
      links.delete(key);
    }
  }
  const timer = setInterval(() => sweep(idleMs), sweepMs);

  return {
    to({ brokerId, address }) {
      const key = `${brokerId} ${address}`;
      const known = links.get(key);
      if (known !== undefined) {
        known.usedAt = performance.now();
        return known.link;
      }
      if (links.size >= maxLinks) sweep(0);
      if (links.size >= maxLinks) throw new PeerError('busy', `is one of more than ${maxLinks} brokers`);
      const link = createPeerLink({ brokerId, address, credentials, connectTimeoutMs, log });
      links.set(key, { link, usedAt: performance.now() });
      return link;
    },
    renew() {
      for (const { link } of links.values()) link.renew();
    },
    count: () => links.size,
    close() {
      clearInterval(timer);
      for (const { link } of links.values()) link.close();
      links.clear();
    },
  };
}
