import { type Endpoint, isAnswerable } from './endpoint.ts';
import { createEndpointIndex, type EndpointIndex } from './endpoint-index.ts';
import { createRegistrationIndex, type Registration, type RegistrationIndex } from './registration-index.ts';

/** A container as DNS answers with it. */
export interface NamedAddress {
  /** IPv4. */
  readonly address: string;
  /** The host that runs it. */
  readonly hostMgmtIp: string;
  readonly containerId: string;
}

/** Every container of the mesh, in memory: no question waits for Corrosion, and none fails because Corrosion is down. */
export interface Directory {
  /**
   * The addresses of a name, in no order. Undefined where no container that is running, and healthy or without a
   * healthcheck, bears it by its own name or by a registration: such a name does not exist (docs/contract.md §6 answers
   * from rows filtered so, and without a row there is nothing to tell a stopped container from one that never was).
   * Never empty. The list belongs to the directory; another list, never the same one changed, is returned when its
   * content differs.
   *
   * @param name lower-case
   */
  find(namespace: string, name: string): readonly NamedAddress[] | undefined;
  /** Every container's address; undefined until the mesh was loaded once. Another set when its content differs. */
  addresses(): ReadonlySet<string> | undefined;
  /** Whether any name lies in a namespace; of a registered one it need not be one that answers now. */
  hasNamespace(namespace: string): boolean;
  /** Whether containers and registrations were each loaded once; it stays so. */
  isLoaded(): boolean;
  stats(): DirectoryStats;
  /** Higher whenever any answer may differ. */
  readonly version: number;
  /** Calls back, from now on, at every higher version. */
  watch(onChange: () => void): void;
}

export interface DirectoryStats {
  /** Of `service_endpoints`. */
  rows: number;
  registrations: number;
  /** How long the content may have been out of date, in ms: 0 while every change is told at once. */
  ageMs: number;
  connected: boolean;
  /** How often the subscriptions had to be taken up again, or anew. */
  resubscriptions: number;
  /**
   * Rows of hosts that the mesh's interface has no peer for. They are answered like all others: a partition, or a peer that
   * is being replaced, must not take names away.
   */
  rowsWithoutPeer: number;
}

/** What fills the directory. Rows of a load are kept aside until it is whole, so that no name is ever missing meanwhile. */
export interface Filling<Row, Key> {
  /** A new load begins; one that was under way is forgotten. */
  begin(): void;
  load(row: Row): void;
  /** The load is whole and takes the place of what was before. */
  finish(): void;
  put(row: Row): void;
  remove(key: Key): void;
  /** Whether changes are told as they happen. */
  connected(isConnected: boolean): void;
  resubscribed(): void;
}

export interface FilledDirectory {
  directory: Directory;
  endpoints: Filling<Endpoint, string>;
  registrations: Filling<Registration, { serviceId: string; containerId: string }>;
  /** The row of a container, whether it answers or not. */
  row(containerId: string): Endpoint | undefined;
  /** Rows by host. */
  hosts(): ReadonlyMap<string, number>;
  /** Who is in the mesh, for the statistics. */
  setPeers(isPeer: (hostMgmtIp: string) => boolean): void;
}

/** @param now monotonic, ms */
export function createDirectory(now: () => number = () => performance.now()): FilledDirectory {
  let version = 0;
  let resubscriptions = 0;
  let endpoints: EndpointIndex = createEndpointIndex();
  endpoints.publish();
  let registrations: RegistrationIndex = createRegistrationIndex();
  const isLoaded = { endpoints: false, registrations: false };
  let isPeer: (hostMgmtIp: string) => boolean = () => true;
  let addresses: { of: number; set: ReadonlySet<string> } | undefined;
  const createdAt = now();
  const lost = { endpoints: createdAt as number | undefined, registrations: createdAt as number | undefined };
  /** Unions of registered and own names, each with the version that it was last found to hold at. */
  const unions = new Map<string, { of: number; list: readonly Endpoint[] }>();

  const watchers: (() => void)[] = [];

  const changed = () => {
    version += 1;
    for (const onChange of watchers) onChange();
  };

  /** Who answers under a name that was registered, whatever they are called themselves. */
  const union = (namespace: string, name: string, containers: Iterable<string>) => {
    const key = `${name}.${namespace}`;
    const known = unions.get(key);
    if (known?.of === version) return known.list;
    const found = new Set(endpoints.find(namespace, name));
    for (const id of containers) {
      const row = endpoints.get(id);
      if (row !== undefined && isAnswerable(row)) found.add(row);
    }
    if (found.size === 0) {
      unions.delete(key);
      return undefined;
    }
    const isSame =
      known !== undefined && known.list.length === found.size && known.list.every(row => found.has(row));
    const list = isSame ? known.list : [...found];
    unions.set(key, { of: version, list });
    return list;
  };

  const connection = (which: keyof typeof lost) => ({
    connected(isConnected: boolean) {
      lost[which] = isConnected ? undefined : (lost[which] ?? now());
    },
    resubscribed() {
      resubscriptions += 1;
    },
  });

  const directory: Directory = {
    find(namespace, name) {
      const registered = registrations.find(namespace, name);
      return registered === undefined ? endpoints.find(namespace, name) : union(namespace, name, registered);
    },
    addresses() {
      if (!isLoaded.endpoints) return undefined;
      if (addresses?.of !== version) {
        const set = new Set<string>();
        for (const { address } of endpoints.rows()) if (address !== '') set.add(address);
        addresses = { of: version, set };
      }
      return addresses.set;
    },
    hasNamespace: namespace => endpoints.hasNamespace(namespace) || registrations.hasNamespace(namespace),
    isLoaded: () => isLoaded.endpoints && isLoaded.registrations,
    stats() {
      const since = [lost.endpoints, lost.registrations].filter(at => at !== undefined);
      return {
        rows: endpoints.size,
        registrations: registrations.size,
        ageMs: since.length === 0 ? 0 : Math.round(now() - Math.min(...since)),
        connected: since.length === 0,
        resubscriptions,
        rowsWithoutPeer: [...endpoints.hosts()].reduce(
          (sum, [host, rows]) => sum + (isPeer(host) ? 0 : rows),
          0,
        ),
      };
    },
    get version() {
      return version;
    },
    watch: onChange => void watchers.push(onChange),
  };
  return {
    directory,
    endpoints: fillEndpoints(),
    registrations: fillRegistrations(),
    row: id => endpoints.get(id),
    hosts: () => endpoints.hosts(),
    setPeers(known) {
      isPeer = known;
    },
  };

  function fillEndpoints(): FilledDirectory['endpoints'] {
    let aside = createEndpointIndex();
    return {
      ...connection('endpoints'),
      begin() {
        aside = createEndpointIndex();
      },
      load: row => void aside.put(row),
      finish() {
        aside.publish();
        endpoints = aside;
        isLoaded.endpoints = true;
        unions.clear();
        changed();
      },
      put(row) {
        if (endpoints.put(row)) changed();
      },
      remove(containerId) {
        if (endpoints.remove(containerId)) changed();
      },
    };
  }

  function fillRegistrations(): FilledDirectory['registrations'] {
    let aside = createRegistrationIndex();
    return {
      ...connection('registrations'),
      begin() {
        aside = createRegistrationIndex();
      },
      load: row => aside.put(row),
      finish() {
        registrations = aside;
        isLoaded.registrations = true;
        unions.clear();
        changed();
      },
      put(row) {
        registrations.put(row);
        unions.clear();
        changed();
      },
      remove({ serviceId, containerId }) {
        registrations.remove(serviceId, containerId);
        unions.clear();
        changed();
      },
    };
  }
}
