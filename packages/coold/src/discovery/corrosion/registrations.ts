import { type Corrosion, CorrosionError, isMissingTable, type Statement } from '@coold/corrosion';
import type { Registration } from '../directory/registration-index.ts';

/** A container registered for a service (docs/contract.md §3). */
export interface ServiceRegistration extends Registration {
  hostMgmtIp: string;
  /** 0 where none was given. */
  port: number;
}

/** A registered container with what the mesh knows of it. */
export interface ServiceEndpoint {
  containerId: string;
  /** Empty while it has none. */
  containerIp: string;
  hostMgmtIp: string;
  port: number;
  /** Empty where the mesh knows nothing of the container. */
  state: string;
  health: string;
}

/** Service registrations. This host writes and removes only those of its own containers (docs/contract.md §5). */
export interface Registrations {
  /** Registers a container, also when it is registered already. @throws CorrosionError */
  register(registration: ServiceRegistration, signal: AbortSignal): Promise<void>;
  /** Removes a registration, if there is one. @param containerIds names of the same container @throws CorrosionError */
  unregister(serviceId: string, containerIds: readonly string[], signal: AbortSignal): Promise<void>;
  /** Returns the endpoints of the whole mesh, by container. @throws CorrosionError */
  endpoints(serviceId: string, signal: AbortSignal): Promise<ServiceEndpoint[]>;
  /** Returns the containers that this host registered, read back where that is in doubt. @throws CorrosionError */
  containers(signal: AbortSignal): Promise<ReadonlySet<string>>;
  /** Removes all registrations of containers that are gone. @throws CorrosionError */
  forget(containerIds: readonly string[], signal: AbortSignal): Promise<void>;
  /** Records that Corrosion's registrations may differ from what was registered here. */
  doubt(): void;
}

export const registrationColumns = ['service_id', 'container_id', 'name', 'namespace'] as const;

/** Every registration of the mesh. */
export const everyRegistration: Statement = [
  `SELECT ${registrationColumns.join(', ')} FROM service_registrations`,
  [],
];

/** Reads a row of `registrationColumns`. @throws CorrosionError `malformed` */
export function readRegistration(values: readonly unknown[]): Registration {
  const [serviceId, containerId, name, namespace] = values;
  return {
    serviceId: asText(serviceId, 'service_id'),
    containerId: asText(containerId, 'container_id'),
    name: asText(name, 'name'),
    namespace: asText(namespace, 'namespace'),
  };
}

/** @param nowMs Unix time in ms */
export function upsertRegistration(
  { serviceId, containerId, name, namespace, hostMgmtIp, port }: ServiceRegistration,
  nowMs: number,
): Statement {
  const columns = [...registrationColumns, 'host_mgmt_ip', 'port', 'updated_at'];
  const set = columns.slice(2).map(column => `${column} = excluded.${column}`);
  return [
    `INSERT INTO service_registrations (${columns.join(', ')}) VALUES (${columns.map(() => '?').join(', ')}) ` +
      `ON CONFLICT (service_id, container_id) DO UPDATE SET ${set.join(', ')}`,
    [serviceId, containerId, name, namespace, hostMgmtIp, port, Math.floor(nowMs)],
  ];
}

/** @param now Unix time in ms */
export function createRegistrations(
  corrosion: Corrosion,
  hostMgmtIp: string,
  now: () => number,
): Registrations {
  /** Own containers that have registrations; undefined while unknown. */
  let own: Set<string> | undefined;
  /** Registered since the last read, so that a read that began earlier does not lose them. */
  const recent = new Set<string>();

  const remove = (condition: string, params: readonly string[]): Statement => [
    `DELETE FROM service_registrations WHERE host_mgmt_ip = ? AND ${condition}`,
    [hostMgmtIp, ...params],
  ];

  return {
    async register(registration, signal) {
      try {
        await corrosion.execute([upsertRegistration({ ...registration, hostMgmtIp }, now())], signal);
      } finally {
        // Also when the answer was lost, because the row may exist; and only now, because the container may have gone
        // meanwhile.
        recent.add(registration.containerId);
      }
    },
    async unregister(serviceId, containerIds, signal) {
      const statements = containerIds.map(id =>
        remove('service_id = ? AND container_id = ?', [serviceId, id]),
      );
      await corrosion.execute(statements, signal);
    },
    async endpoints(serviceId, signal) {
      const found: ServiceEndpoint[] = [];
      const sql =
        "SELECT r.container_id, COALESCE(e.container_ip, ''), r.host_mgmt_ip, r.port, COALESCE(e.state, ''), " +
        "COALESCE(e.health, 'unknown') FROM service_registrations r LEFT JOIN service_endpoints e " +
        'ON e.container_id = r.container_id WHERE r.service_id = ? ORDER BY r.container_id';
      await withoutTable(
        corrosion.query(
          [sql, [serviceId]],
          values => {
            const endpoint = readServiceEndpoint(values);
            if (endpoint !== undefined) found.push(endpoint);
          },
          signal,
        ),
      );
      return found;
    },
    async containers(signal) {
      const since = [...recent];
      own ??= await readOwn(corrosion, hostMgmtIp, signal);
      for (const id of since) {
        own.add(id);
        recent.delete(id);
      }
      return own;
    },
    async forget(containerIds, signal) {
      if (containerIds.length === 0) return;
      await corrosion.execute(
        containerIds.map(id => remove('container_id = ?', [id])),
        signal,
      );
      for (const id of containerIds) own?.delete(id);
    },
    doubt() {
      own = undefined;
    },
  };
}

async function readOwn(corrosion: Corrosion, hostMgmtIp: string, signal: AbortSignal): Promise<Set<string>> {
  const own = new Set<string>();
  const sql = 'SELECT DISTINCT container_id FROM service_registrations WHERE host_mgmt_ip = ?';
  // coold writes no row whose container is not a text, and no statement could name such a row.
  const onRow = ([id]: unknown[]) => void (typeof id === 'string' && own.add(id));
  await withoutTable(corrosion.query([sql, [hostMgmtIp]], onRow, signal));
  return own;
}

/** A schema without the table holds no registrations (docs/contract.md §5). */
async function withoutTable(reading: Promise<void>): Promise<void> {
  try {
    await reading;
  } catch (error) {
    if (!isMissingTable(error)) throw error;
  }
}

/** @returns undefined for an invalid row: it may be another host's, and must not cost the mesh all others */
function readServiceEndpoint(values: readonly unknown[]): ServiceEndpoint | undefined {
  const [containerId, containerIp, hostMgmtIp, port, state, health] = values;
  const isText = (value: unknown) => typeof value === 'string';
  if (typeof port !== 'number' || !Number.isInteger(port) || port < 0 || port > 65_535) return undefined;
  if (!isText(containerId) || !isText(containerIp) || !isText(hostMgmtIp)) return undefined;
  if (!isText(state) || !isText(health)) return undefined;
  return { containerId, containerIp, hostMgmtIp, port, state, health };
}

function asText(value: unknown, column: string): string {
  if (typeof value !== 'string')
    throw new CorrosionError('malformed', `has a row whose ${column} is not text`);
  return value;
}
