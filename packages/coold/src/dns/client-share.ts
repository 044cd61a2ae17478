import type { Forwarding } from './forwarding.ts';

/**
 * The places of one listener's questions among those that wait for the upstream, shared among its clients: each may have as
 * many as are left over. So one that asks without an end gets half of them, two get a third each, and there is always room for
 * another.
 */
export interface ClientShare {
  /** @returns false: there is no place for this client now, which counts as an error */
  take(client: number): boolean;
  leave(client: number, isAnswered: boolean): void;
}

/** @param share of the listener, by its number in `forwarding` @param places of all its clients */
export function createClientShare(
  forwarding: Pick<Forwarding, 'begin' | 'end' | 'waiting'>,
  share: number,
  places: number,
): ClientShare {
  const byClient = new Map<number, number>();
  return {
    take(client) {
      const own = byClient.get(client) ?? 0;
      const left = places - forwarding.waiting(share);
      // As a bound for those that wait, so that it is counted there.
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
