import { CorrosionError, type Statement } from '@coold/corrosion';
import type { Endpoint } from './endpoint.ts';

// The table of docs/contract.md §5 as statements and rows. Pure.

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

/** Every container of the mesh. */
export const everyEndpoint: Statement = [selected, []];

/** The rows that a host wrote. */
export function endpointsOf(hostMgmtIp: string): Statement {
  return [`${selected} WHERE host_mgmt_ip = ?`, [hostMgmtIp]];
}

/** @param nowMs Unix time in ms */
export function upsertEndpoint(row: Endpoint, nowMs: number): Statement {
  const columns = [...endpointColumns, 'updated_at'];
  const set = columns.slice(1).map(column => `${column} = excluded.${column}`);
  return [
    `INSERT INTO service_endpoints (${columns.join(', ')}) VALUES (${columns.map(() => '?').join(', ')}) ` +
      `ON CONFLICT (container_id) DO UPDATE SET ${set.join(', ')}`,
    [
      row.containerId,
      row.name,
      row.namespace,
      row.hostMgmtIp,
      row.address,
      row.state,
      row.health,
      Math.floor(nowMs),
    ],
  ];
}

/** Only ever a row of the host's own (docs/contract.md §5). */
export function deleteEndpoint(containerId: string, hostMgmtIp: string): Statement {
  return [
    'DELETE FROM service_endpoints WHERE container_id = ? AND host_mgmt_ip = ?',
    [containerId, hostMgmtIp],
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

function textAt(values: readonly unknown[], index: number): string {
  const value = values[index];
  if (typeof value !== 'string')
    throw new CorrosionError('malformed', `has a row whose ${endpointColumns[index] ?? index} is no text`);
  return value;
}
