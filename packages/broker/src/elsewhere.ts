import type { Response, ServerMsg } from '@coold/proto';
import type { StreamCarrier } from './hosts.ts';
import type { Refused } from './park.ts';
import type { Route } from './peers/route.ts';
import type { Whereabouts } from './peers/route-table.ts';

/** What became of a command that another broker was asked to send. */
export type Forwarded = { kind: 'answered'; response: Response; bytes: number } | Refused;

/** The hosts of other brokers; only a broker that is not alone has it. */
export interface Elsewhere {
  where(hostId: string): Whereabouts;
  /** Asks the broker that holds the host, once. Never rejects. The signal: nobody waits for it any more. */
  forward(route: Route, command: ServerMsg, timeoutMs: number, signal: AbortSignal): Promise<Forwarded>;
  /** The way to that host for one streamed command. */
  carrier(route: Route): StreamCarrier;
}

/** Why a host of another broker is not served here; undefined: nothing is known of it. */
export function refuseElsewhere(
  hostId: string,
  what: string,
  elsewhere: Pick<Elsewhere, 'where'> | undefined,
): { code: 503; message: string } | undefined {
  const where = elsewhere?.where(hostId);
  switch (where?.kind) {
    case 'elsewhere': {
      const { brokerId, address } = where.route;
      return {
        code: 503,
        message: `host ${hostId} is connected to broker ${brokerId} (${address}): ${what} asked of that broker`,
      };
    }
    case 'unknown':
      return { code: 503, message: unknownWhere };
    case 'nowhere':
    case undefined:
      return undefined;
  }
}

/** Said as long as the routes were never read: that a host is not here does not mean that it is nowhere. */
export const unknownWhere = 'host not connected here, and Corrosion has not told yet where it is';
