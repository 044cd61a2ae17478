import { CorrosionError, type Statement } from '@coold/corrosion';
import { brokerId, hostId } from '../../hosts/host-id.ts';
import { peerAddress } from '../link/peer-address.ts';

// The table host_routes as statements and rows. Pure.

/** That a broker holds a host's stream, as the broker says. */
export interface Route {
  hostId: string;
  brokerId: string;
  /** Where the others dial that broker, `host:port`. */
  address: string;
  /** Unix time in ms, later than that of any route that the broker knew of: the newest counts. */
  connectedAt: number;
}

/** A host, and where the broker is dialled that has it. */
export type HostPlace = Omit<Route, 'connectedAt'>;

export const routeColumns = ['host_id', 'broker_id', 'address', 'connected_at'] as const;

/** Every broker's routes. */
export const everyRoute: Statement = [`SELECT ${routeColumns.join(', ')} FROM host_routes`, []];

export function upsertRoute({ hostId, brokerId, address, connectedAt }: Route): Statement {
  return [
    `INSERT INTO host_routes (${routeColumns.join(', ')}) VALUES (?, ?, ?, ?) ON CONFLICT (host_id, broker_id) ` +
      'DO UPDATE SET address = excluded.address, connected_at = excluded.connected_at',
    [hostId, brokerId, address, connectedAt],
  ];
}

/** Only ever of the broker's own. */
export function deleteRoute(hostId: string, brokerId: string): Statement {
  return ['DELETE FROM host_routes WHERE host_id = ? AND broker_id = ?', [hostId, brokerId]];
}

export function deleteRoutesOf(brokerId: string): Statement {
  return ['DELETE FROM host_routes WHERE broker_id = ?', [brokerId]];
}

/** A clock that is ahead by more than this, in ms, is wrong, and its routes would beat all others. */
const maxAheadMs = 3_600_000;

/** Reads a row of `routeColumns`, which any host in the mesh can have written. @throws CorrosionError `malformed` */
export function readRoute(values: readonly unknown[], nowMs: number): Route {
  const [host, broker, address, connectedAt] = values;
  if (typeof host !== 'string' || hostId.parse(host) === undefined) throw malformed('host_id', hostId);
  if (typeof broker !== 'string' || brokerId.parse(broker) === undefined)
    throw malformed('broker_id', brokerId);
  if (typeof address !== 'string' || peerAddress.parse(address) === undefined)
    throw malformed('address', peerAddress);
  if (typeof connectedAt !== 'number' || !Number.isSafeInteger(connectedAt) || connectedAt < 0)
    throw malformed('connected_at', { expected: 'a Unix time in ms' });
  if (connectedAt > nowMs + maxAheadMs)
    throw malformed('connected_at', { expected: 'a time that is not an hour ahead' });
  return { hostId: host, brokerId: broker, address, connectedAt };
}

function malformed(column: string, { expected }: { expected: string }): CorrosionError {
  return new CorrosionError(
    'malformed',
    `has a row of host_routes with a wrong ${column}: expected ${expected}`,
  );
}
