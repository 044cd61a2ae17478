import { CorrosionError, type Statement } from '@coold/corrosion';
import { type Endpoint, isSameEndpoint } from '../endpoint.ts';
import type { OwnTable } from './own-rows.ts';

// Statements and rows of the table of docs/contract.md §5. Pure.

export const endpointColumns = [
  'container_id',
  'container_name',
  'namespace',
  'host_mgmt_ip',
  'container_ip',
  'state',
  'health',
] as const;

const selected = `SELECT ${endpointColumns.join(', ')} FROM service_endpoints`;

/** Selects every container of the mesh. */
export const everyEndpoint: Statement = [selected, []];

/** Returns the rows of this host's containers. @param now Unix time in ms */
export function ownEndpoints(hostMgmtIp: string, now: () => number): OwnTable<Endpoint> {
  return {
    select: [`${selected} WHERE host_mgmt_ip = ?`, [hostMgmtIp]],
    read: readOwn,
    keyOf: ({ containerId }) => containerId,
    isSame: isSameEndpoint,
    upsert: row => upsertEndpoint(row, now()),
    // A host removes rows of its own only (docs/contract.md §5).
    remove: ({ containerId }) => [
      'DELETE FROM service_endpoints WHERE container_id = ? AND host_mgmt_ip = ?',
      [containerId, hostMgmtIp],
    ],
  };
}

/** @param nowMs Unix time in ms */
export function upsertEndpoint(row: Endpoint, nowMs: number): Statement {
  const { containerId, name, namespace, hostMgmtIp, address, state, health } = row;
  const columns = [...endpointColumns, 'updated_at'];
  const set = columns.slice(1).map(column => `${column} = excluded.${column}`);
  return [
    `INSERT INTO service_endpoints (${columns.join(', ')}) VALUES (${columns.map(() => '?').join(', ')}) ` +
      `ON CONFLICT (container_id) DO UPDATE SET ${set.join(', ')}`,
    [containerId, name, namespace, hostMgmtIp, address, state, health, Math.floor(nowMs)],
  ];
}

/** Reads a row of `endpointColumns`. @throws CorrosionError `malformed` */
export function readEndpoint(values: readonly unknown[]): Endpoint {
  return {
    containerId: textAt(values, 0),
    name: textAt(values, 1),
    namespace: textAt(values, 2),
    hostMgmtIp: textAt(values, 3),
    address: textAt(values, 4),
    state: textAt(values, 5),
    health: textAt(values, 6),
  };
}

/** An unreadable row with an id differs from every wanted row, so it is written again or removed. */
function readOwn(values: readonly unknown[]): Endpoint | undefined {
  try {
    return readEndpoint(values);
  } catch {
    const [containerId] = values;
    const nothing = { name: '', namespace: '', hostMgmtIp: '', address: '', state: '', health: '' };
    return typeof containerId === 'string' ? { containerId, ...nothing } : undefined;
  }
}

function textAt(values: readonly unknown[], index: number): string {
  const value = values[index];
  if (typeof value !== 'string')
    throw new CorrosionError('malformed', `has a row whose ${endpointColumns[index] ?? index} is not text`);
  return value;
}
