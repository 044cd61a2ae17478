import type { SharedForwarding } from './shared-forwarding.ts';

/**
 * Shares one listener's places in the upstream queue among its clients: each client may have as many places as are
 * left. So a client that asks without end gets half of them, two get a third each, and another client always finds a
 * place.
 */
export interface ClientShare {
  /** @returns false when the client has no place now, which counts as an error */
  take(client: number): boolean;
  leave(client: number, isAnswered: boolean): void;
}

/** @param share the listener's number in `forwarding` @param places for all its clients */
export function createClientShare(
  forwarding: Pick<SharedForwarding, 'begin' | 'end' | 'waiting'>,
  share: number,
  places: number,
): ClientShare {
  const byClient = new Map<number, number>();
  return {
    take(client) {
      const own = byClient.get(client) ?? 0;
      const left = places - forwarding.waiting(share);
      // Passed as the queue's limit, so that the refusal is counted there.
      if (!forwarding.begin(own < left ? places : 0, share)) return false;
      byClient.set(client, own + 1);
      return true;
    },
    leave(client, isAnswered) {
      const own = byClient.get(client) ?? 0;
      if (own > 1) byClient.set(client, own - 1);
      else byClient.delete(client);
      forwarding.end(isAnswered, share);
    },
  };
}
