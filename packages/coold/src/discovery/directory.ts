import { type Endpoint, isAnswerable } from './endpoint.ts';
import { createEndpointIndex, type EndpointIndex } from './endpoint-index.ts';
import type { Reach } from './reach.ts';
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
  /** The containers that bear a name and are not answered, with the reason; for people, so it may be slow. */
  leftOut(namespace: string, name: string): LeftOut[];
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

/** Why a container is not answered: it does not run, is ill, cannot be reached from here, or its host is gone. */
export type LeftOutReason = 'not_running' | 'unhealthy' | 'no_address' | 'unreachable' | 'host_gone';

export interface LeftOut extends NamedAddress {
  readonly reason: LeftOutReason;
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
  /** Rows whose address this host cannot reach: no peer of the mesh's interface has it. They are not answered. */
  rowsUnreachable: number;
  /** Hosts that were not seen for too long. Their rows are not answered. */
  hostsGone: readonly string[];
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
  /** What can be reached from this host; until it is told, everything. */
  setReach(reach: Reach): void;
  /** The hosts that were not seen for too long. */
  setGone(hosts: ReadonlySet<string>): void;
}

/** @param hostMgmtIp this host: its own rows always count @param now monotonic, ms */
export function createDirectory(
  hostMgmtIp: string,
  now: () => number = () => performance.now(),
): FilledDirectory {
  let version = 0;
  let resubscriptions = 0;
  let reach: Reach | undefined;
  let gone: ReadonlySet<string> = new Set();
  const isUnreachable = (row: NamedAddress) =>
    row.hostMgmtIp !== hostMgmtIp && reach !== undefined && !reach(row.address);
  const isGone = (row: NamedAddress) => row.hostMgmtIp !== hostMgmtIp && gone.has(row.hostMgmtIp);
  const isLeftOut = (row: NamedAddress) => isGone(row) || isUnreachable(row);
  let endpoints: EndpointIndex = createEndpointIndex(isLeftOut);
  endpoints.publish();
  let registrations: RegistrationIndex = createRegistrationIndex();
  const isLoaded = { endpoints: false, registrations: false };
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
      if (row !== undefined && isAnswerable(row) && !isLeftOut(row)) found.add(row);
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

  const reconsider = () => {
    if (!endpoints.reconsider()) return;
    unions.clear();
    changed();
  };

  const reasonOf = (row: Endpoint): LeftOutReason | undefined => {
    if (row.state !== 'running') return 'not_running';
    if (row.health !== 'healthy' && row.health !== 'unknown') return 'unhealthy';
    if (!isAnswerable(row)) return 'no_address';
    if (isGone(row)) return 'host_gone';
    return isUnreachable(row) ? 'unreachable' : undefined;
  };

  let counted: { of: number; reach: Reach | undefined; rows: number } | undefined;
  /** Counted again only where it may differ: it is asked for at every scrape, and there may be 50,000 rows. */
  const unreachable = () => {
    if (counted?.of !== version || counted.reach !== reach) {
      let rows = 0;
      for (const row of endpoints.rows()) if (row.address !== '' && isUnreachable(row)) rows += 1;
      counted = { of: version, reach, rows };
    }
    return counted.rows;
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
    leftOut(namespace, name) {
      const registered = new Set(registrations.find(namespace, name));
      const found: LeftOut[] = [];
      for (const row of endpoints.rows()) {
        const isNamed = row.namespace === namespace && row.name.toLowerCase() === name;
        if (!isNamed && !registered.has(row.containerId)) continue;
        const reason = reasonOf(row);
        const { address, hostMgmtIp: host, containerId } = row;
        if (reason !== undefined) found.push({ address, hostMgmtIp: host, containerId, reason });
      }
      return found;
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
        rowsUnreachable: unreachable(),
        hostsGone: [...gone].filter(host => endpoints.hosts().has(host)).sort(),
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
    setReach(known) {
      reach = known;
      reconsider();
    },
    setGone(hosts) {
      gone = hosts;
      reconsider();
    },
  };

  function fillEndpoints(): FilledDirectory['endpoints'] {
    let aside = createEndpointIndex(isLeftOut);
    return {
      ...connection('endpoints'),
      begin() {
        aside = createEndpointIndex(isLeftOut);
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
