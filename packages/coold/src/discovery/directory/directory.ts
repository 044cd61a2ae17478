import { type Endpoint, isDnsLabel } from '../endpoint.ts';
import type { Reach } from '../hosts/reach.ts';
import { DirectoryContent } from './content.ts';
import { type Filling, fillEndpoints, fillRegistrations, type RegistrationKey } from './filling.ts';
import { Freshness } from './freshness.ts';
import { RowJudge } from './judge-rows.ts';
import type { Registration } from './registration-index.ts';

/** A container as DNS answers with it. */
export interface NamedAddress {
  /** IPv4. */
  readonly address: string;
  /** The host that runs it. */
  readonly hostMgmtIp: string;
  readonly containerId: string;
}

/** Every container of the mesh, in memory. No question waits for Corrosion, and none fails while Corrosion is down. */
export interface Directory {
  /**
   * Returns the addresses of a name, in no order. Undefined when no container with this name, its own or registered,
   * runs and is healthy or without a healthcheck: such a name does not exist (docs/contract.md §6 answers from rows
   * filtered this way, and without a row a stopped container looks like one that never was). Never empty. The list
   * belongs to the directory, which never changes it: different content means a different list.
   *
   * @param name lower-case
   */
  find(namespace: string, name: string): readonly NamedAddress[] | undefined;
  /** Returns the containers of a name that are not answered, with the reason. May be slow; it is for people. */
  leftOut(namespace: string, name: string): LeftOut[];
  /**
   * Returns the containers of an address, for reverse names (docs/contract.md §6): those that run, else those that will
   * have the address once they run. Their health does not matter, because the address is theirs. Containers that cannot
   * be reached, and those of hosts that are gone, are left out.
   *
   * @returns empty for a mesh address that no container has; undefined for an address outside the mesh
   */
  bearers(address: string): readonly Bearer[] | undefined;
  /** Returns the rows of the containers that have an address, whatever else they say. */
  holders(address: string): readonly Endpoint[];
  /**
   * Returns the rows of containers with a name, in any namespace, or with an id that begins so. May be slow; it is for
   * people.
   */
  called(name: string): Endpoint[];
  /**
   * Returns every container's address; undefined until the mesh was loaded once. Different content means a different
   * set.
   */
  addresses(): ReadonlySet<string> | undefined;
  /** Whether a namespace contains any name. A registered name counts even when it does not answer now. */
  hasNamespace(namespace: string): boolean;
  /** Whether containers and registrations were each loaded once. Never becomes false again. */
  isLoaded(): boolean;
  stats(): DirectoryStats;
  /** Increases whenever any answer may differ. */
  readonly version: number;
  /** Calls back at every later version. */
  watch(onChange: () => void): void;
}

/** Why a container is not answered: it does not run, is unhealthy, cannot be reached from here, or its host is gone. */
export type LeftOutReason = 'not_running' | 'unhealthy' | 'no_address' | 'unreachable' | 'host_gone';

export interface LeftOut extends NamedAddress {
  readonly reason: LeftOutReason;
}

/** A container by its name. */
export interface Bearer {
  readonly name: string;
  readonly namespace: string;
}

export interface DirectoryStats {
  /** The rows of `service_endpoints`. */
  rows: number;
  registrations: number;
  /** How long the content may have been out of date, in ms; 0 while every change is reported at once. */
  ageMs: number;
  connected: boolean;
  /** The latest event while changes are not reported; undefined while they are, and before any event. */
  problem: string | undefined;
  /** How often subscriptions had to be resumed or started again. */
  resubscriptions: number;
  /**
   * The number of rows whose address this host cannot reach, because no peer of the mesh's interface has it. They are
   * not answered.
   */
  rowsUnreachable: number;
  /** Hosts that were not seen for too long. Their rows are not answered. */
  hostsGone: readonly string[];
}

export interface FilledDirectory {
  directory: Directory;
  endpoints: Filling<Endpoint, string>;
  registrations: Filling<Registration, RegistrationKey>;
  /** Returns a container's row, whether it is answered or not. */
  row(containerId: string): Endpoint | undefined;
  /** Rows by host. */
  hosts(): ReadonlyMap<string, number>;
  /** Returns the containers of a host. Scans every row. */
  containersOf(hostMgmtIp: string): string[];
  /** Sets what can be reached from this host. Before that, everything outside its own networks can. */
  setReach(reach: Reach): void;
  /**
   * Sets this host's own networks. An address in one of them leads to a container of this host, even when another host
   * wrote the row.
   */
  setOwnNetworks(networks: readonly string[]): void;
  /** Sets which addresses belong to the mesh in addition to those that can be reached. */
  setMeshNetworks(isMesh: (address: string) => boolean): void;
  /** Sets the hosts that were not seen for too long. */
  setGone(hosts: ReadonlySet<string>): void;
}

/** @param hostMgmtIp this host, whose rows always count @param now monotonic, in ms */
export function createDirectory(
  hostMgmtIp: string,
  now: () => number = () => performance.now(),
): FilledDirectory {
  const judge = new RowJudge(hostMgmtIp);
  const content = new DirectoryContent(row => judge.isLeftOut(row));
  const freshness = new Freshness(now);
  return {
    directory: directoryOf(content, judge, freshness),
    endpoints: fillEndpoints(content, freshness),
    registrations: fillRegistrations(content, freshness),
    row: id => content.endpoints.get(id),
    hosts: () => content.endpoints.hosts(),
    containersOf(host) {
      const found: string[] = [];
      for (const row of content.endpoints.rows()) if (row.hostMgmtIp === host) found.push(row.containerId);
      return found;
    },
    setReach(reach) {
      judge.setReach(reach);
      content.reconsider();
    },
    setOwnNetworks(networks) {
      judge.setOwnNetworks(networks);
      content.reconsider();
    },
    setMeshNetworks(isMesh) {
      judge.setMeshNetworks(isMesh);
      content.changed();
    },
    setGone(hosts) {
      judge.setGone(hosts);
      content.reconsider();
    },
  };
}

/** Returns the read-only side of the directory. */
function directoryOf(content: DirectoryContent, judge: RowJudge, freshness: Freshness): Directory {
  const unreachable = countUnreachable(content, judge);
  return {
    find(namespace, name) {
      const registered = content.registrations.find(namespace, name);
      return registered === undefined
        ? content.endpoints.find(namespace, name)
        : content.union(namespace, name, registered);
    },
    leftOut: (namespace, name) => leftOut(content, judge, namespace, name),
    bearers: address => bearers(content, judge, address),
    holders: address => content.endpoints.at(address),
    called: name => called(content, name),
    addresses: () => content.addresses(),
    hasNamespace: namespace =>
      content.endpoints.hasNamespace(namespace) || content.registrations.hasNamespace(namespace),
    isLoaded: () => content.isLoaded.endpoints && content.isLoaded.registrations,
    stats: () => ({
      rows: content.endpoints.size,
      registrations: content.registrations.size,
      ageMs: freshness.ageMs(),
      connected: freshness.isConnected(),
      problem: freshness.problem(),
      resubscriptions: freshness.resubscriptions,
      rowsUnreachable: unreachable(),
      hostsGone: [...judge.gone()].filter(host => content.endpoints.hosts().has(host)).sort(),
    }),
    get version() {
      return content.version;
    },
    watch: onChange => content.watch(onChange),
  };
}

function leftOut(content: DirectoryContent, judge: RowJudge, namespace: string, name: string): LeftOut[] {
  const registered = new Set(content.registrations.find(namespace, name));
  const found: LeftOut[] = [];
  for (const row of content.endpoints.rows()) {
    const isNamed = row.namespace === namespace && row.name.toLowerCase() === name;
    if (!isNamed && !registered.has(row.containerId)) continue;
    const reason = judge.reasonOf(row);
    const { address, hostMgmtIp, containerId } = row;
    if (reason !== undefined) found.push({ address, hostMgmtIp, containerId, reason });
  }
  return found;
}

function bearers(content: DirectoryContent, judge: RowJudge, address: string): readonly Bearer[] | undefined {
  const named = content.endpoints
    .at(address)
    .filter(row => isDnsLabel(row.name) && isDnsLabel(row.namespace) && !judge.isLeftOut(row));
  if (named.length === 0) return judge.isMesh(address) ? [] : undefined;
  const running = named.filter(({ state }) => state === 'running');
  return running.length > 0 ? running : named;
}

function called(content: DirectoryContent, name: string): Endpoint[] {
  const found: Endpoint[] = [];
  const mayBeId = /^[0-9a-f]{12,64}$/.test(name);
  for (const row of content.endpoints.rows())
    if (row.name === name || (mayBeId && row.containerId.startsWith(name))) found.push(row);
  return found;
}

/**
 * Returns a function that counts the rows whose address this host cannot reach. The count is cached until it may
 * differ, because every scrape asks for it and there may be 50,000 rows.
 */
function countUnreachable(content: DirectoryContent, judge: RowJudge): () => number {
  let counted: { version: number; reachVersion: number; rows: number } | undefined;
  return () => {
    const { version } = content;
    const { reachVersion } = judge;
    if (counted?.version !== version || counted.reachVersion !== reachVersion) {
      let rows = 0;
      for (const row of content.endpoints.rows())
        if (row.address !== '' && judge.isUnreachable(row)) rows += 1;
      counted = { version, reachVersion, rows };
    }
    return counted.rows;
  };
}
