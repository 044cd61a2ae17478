import { type Corrosion, isMissingTable } from '@coold/corrosion';
import type { Logger } from '@coold/runtime';
import { OwnRows, type OwnTable } from './own-rows.ts';
import { upsertRegistration } from './registrations.ts';

/** A container's additional names, in lower case. */
export interface ContainerAliases {
  namespace: string;
  names: readonly string[];
}

interface Alias {
  containerId: string;
  name: string;
  namespace: string;
}

const servicePrefix = 'alias:';

/**
 * The network aliases of this host's containers in Corrosion. Each is a row of `service_registrations`, whose service is called
 * `alias:<alias>`: coolds without aliases answer it like any service. No caller can register a service of that name, since a
 * service id has no colon.
 */
export class AliasWriter {
  readonly #rows: OwnRows<Alias>;
  readonly #log: Logger;
  #isMissingLogged = false;

  /** @param now Unix time in ms */
  constructor(corrosion: Corrosion, hostMgmtIp: string, now: () => number, log: Logger) {
    this.#rows = new OwnRows(corrosion, aliasTable(hostMgmtIp, now));
    this.#log = log;
  }

  /** Records that the acknowledged rows may not be those in the database. */
  doubt(): void {
    this.#rows.doubt();
  }

  /**
   * Writes what differs from the acknowledged rows.
   *
   * @param isLeft whether the rows of a container stay although none is wanted
   * @returns how many rows were written or removed
   * @throws CorrosionError
   */
  async write(
    containers: ReadonlyMap<string, ContainerAliases>,
    isLeft: (containerId: string) => boolean,
    signal: AbortSignal,
  ): Promise<number> {
    const wanted = new Map<string, Alias>();
    for (const [containerId, { namespace, names }] of containers)
      for (const name of names) wanted.set(keyOf({ containerId, name }), { containerId, name, namespace });
    try {
      const changes = await this.#rows.write(wanted, ({ containerId }) => isLeft(containerId), signal);
      this.#isMissingLogged = false;
      return changes;
    } catch (error) {
      // A schema without the table is no error (docs/contract.md §5), and holds no aliases either.
      if (!isMissingTable(error)) throw error;
      if (wanted.size > 0 && !this.#isMissingLogged) {
        this.#log.warn('Corrosion has no table service_registrations: network aliases have no names in DNS');
        this.#isMissingLogged = true;
      }
      return 0;
    }
  }
}

function keyOf({ containerId, name }: Omit<Alias, 'namespace'>): string {
  return `${containerId} ${name}`;
}

function aliasTable(hostMgmtIp: string, now: () => number): OwnTable<Alias> {
  return {
    select: [
      'SELECT service_id, container_id, namespace FROM service_registrations WHERE host_mgmt_ip = ? AND service_id LIKE ?',
      [hostMgmtIp, `${servicePrefix}%`],
    ],
    // An unreadable namespace differs from every wanted one, so the row is written again or removed.
    read: ([serviceId, containerId, namespace]) =>
      typeof serviceId === 'string' && typeof containerId === 'string'
        ? { containerId, name: serviceId.slice(servicePrefix.length), namespace: String(namespace) }
        : undefined,
    keyOf,
    isSame: (a, b) => a.namespace === b.namespace,
    upsert: ({ containerId, name, namespace }) =>
      upsertRegistration(
        { serviceId: `${servicePrefix}${name}`, containerId, name, namespace, hostMgmtIp, port: 0 },
        now(),
      ),
    remove: ({ containerId, name }) => [
      'DELETE FROM service_registrations WHERE service_id = ? AND container_id = ? AND host_mgmt_ip = ?',
      [`${servicePrefix}${name}`, containerId, hostMgmtIp],
    ],
  };
}
