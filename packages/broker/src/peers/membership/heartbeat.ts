import { CorrosionError, type Statement } from '@coold/corrosion';
import { brokerId } from '../../hosts/host-id.ts';
import { peerAddress } from '../link/peer-address.ts';

// The table broker_heartbeats as statements and rows. Pure.

/** That a broker lives, as the broker says. */
export interface Heartbeat {
  brokerId: string;
  /** Where the others dial that broker, `host:port`. */
  address: string;
  /** Another number each time. It is the writer's Unix time in ms, and means nothing to a reader but that it changes. */
  beat: number;
}

export const heartbeatColumns = ['broker_id', 'address', 'beat'] as const;

/** Every broker's heartbeat. */
export const everyHeartbeat: Statement = [`SELECT ${heartbeatColumns.join(', ')} FROM broker_heartbeats`, []];

export function upsertHeartbeat({ brokerId, address, beat }: Heartbeat): Statement {
  return [
    `INSERT INTO broker_heartbeats (${heartbeatColumns.join(', ')}) VALUES (?, ?, ?) ON CONFLICT (broker_id) ` +
      'DO UPDATE SET address = excluded.address, beat = excluded.beat',
    [brokerId, address, beat],
  ];
}

/** Of a broker that leaves in good order. */
export function deleteHeartbeat(brokerId: string): Statement {
  return ['DELETE FROM broker_heartbeats WHERE broker_id = ?', [brokerId]];
}

/** Rows of a dead broker that one transaction removes: the agent holds its lock meanwhile. */
export const removedAtOnce = 500;

/**
 * Removes some routes of a dead broker, and its heartbeat with the last of them; nothing once its heartbeat has moved. To be
 * repeated until the heartbeat is gone.
 */
export function removeDead({ brokerId, beat }: Pick<Heartbeat, 'brokerId' | 'beat'>): Statement[] {
  return [
    [
      'DELETE FROM host_routes WHERE broker_id = ? AND host_id IN ' +
        '(SELECT host_id FROM host_routes WHERE broker_id = ? LIMIT ?) ' +
        'AND EXISTS (SELECT 1 FROM broker_heartbeats WHERE broker_id = ? AND beat = ?)',
      [brokerId, brokerId, removedAtOnce, brokerId, beat],
    ],
    [
      'DELETE FROM broker_heartbeats WHERE broker_id = ? AND beat = ? ' +
        'AND NOT EXISTS (SELECT 1 FROM host_routes WHERE broker_id = ?)',
      [brokerId, beat, brokerId],
    ],
  ];
}

/** Reads a row of `heartbeatColumns`, which any program of the mesh can have written. @throws CorrosionError `malformed` */
export function readHeartbeat(values: readonly unknown[]): Heartbeat {
  const [broker, address, beat] = values;
  if (typeof broker !== 'string' || brokerId.parse(broker) === undefined)
    throw malformed('broker_id', brokerId);
  if (typeof address !== 'string' || peerAddress.parse(address) === undefined)
    throw malformed('address', peerAddress);
  if (typeof beat !== 'number' || !Number.isSafeInteger(beat))
    throw malformed('beat', { expected: 'a whole number' });
  return { brokerId: broker, address, beat };
}

function malformed(column: string, { expected }: { expected: string }): CorrosionError {
  return new CorrosionError(
    'malformed',
    `has a row of broker_heartbeats with a wrong ${column}: expected ${expected}`,
  );
}
