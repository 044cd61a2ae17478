import type { Http2Session } from 'node:http2';

/** In ms: a silent peer is given up after both together. */
export interface PeerKeepalive {
  everyMs: number;
  timeoutMs: number;
}

export const defaultKeepalive: PeerKeepalive = { everyMs: 5000, timeoutMs: 5000 };

/**
 * PINGs, and destroys a session that does not answer, until it is closed. At the end that asks, a peer that is cut off
 * would cost each dispatch its whole time; at the end that is asked, its place, and its hosts' streams, for ever.
 */
export function keepAlive(session: Http2Session, { everyMs, timeoutMs }: PeerKeepalive): void {
  const timer = setInterval(() => {
    if (session.destroyed || session.closed) return;
    const late = setTimeout(() => session.destroy(new Error('it answers no PING')), timeoutMs);
    try {
      session.ping(() => clearTimeout(late));
    } catch {
      clearTimeout(late);
    }
  }, everyMs);
  session.once('close', () => clearInterval(timer));
}
