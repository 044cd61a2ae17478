import type { Address } from '@coold/runtime';
import type { Udp } from '@coold/udp-io';
import type { ServeQuery } from './serve-query.ts';

/** Something that holds an address. `failed` aborts with the error when it broke by itself. */
export interface Listener {
  readonly port: number;
  readonly failed: AbortSignal;
  /** The address is free again once this returns. */
  close(): void;
}

/**
 * Answers over UDP on one IPv4 address.
 *
 * @param isShared whether other threads of this process answer at the same address
 * @throws Error with the system's code when the address cannot be bound
 */
export function listenUdp(
  bind: Udp['bind'],
  address: Address,
  isShared: boolean,
  serve: ServeQuery,
): Promise<Listener> {
  return bind(address, isShared, (packet, peer, socket) =>
    serve(packet, 'udp', peer, reply => {
      if (reply !== undefined) socket.send(reply, peer);
    }),
  );
}
