import type { Http2Session } from 'node:http2';

/** In ms. A silent peer is dropped after both together. */
export interface PeerKeepalive {
  everyMs: number;
  timeoutMs: number;
}

export const defaultKeepalive: PeerKeepalive = { everyMs: 5000, timeoutMs: 5000 };

/**
 * PINGs a session until it is closed, and destroys it when it does not answer. Otherwise a peer that is cut off would
 * cost the asking side the whole timeout of each dispatch, and the answering side the place of the peer's calls and
 * streams for ever.
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
