import { type Corrosion, createCorrosion } from '@coold/corrosion';
import { type Logger, orAborted, pause, readSecretFile, type Task } from '@coold/runtime';
import type { Cidr } from '../firewall/rule/cidr.ts';
import type { PodmanLifecycle } from '../podman/lifecycle.ts';
import type { PodmanNetworks } from '../podman/networks.ts';
import {
  type ContainerTeller,
  createHostContainers,
  type HostContainers,
} from './containers/host-containers.ts';
import { AliasWriter } from './corrosion/alias-writer.ts';
import { createAudit } from './corrosion/audit.ts';
import { ownEndpoints } from './corrosion/endpoint-table.ts';
import { followMesh } from './corrosion/follow-mesh.ts';
import { keepVersion } from './corrosion/keep-version.ts';
import { OwnRows } from './corrosion/own-rows.ts';
import { createRegistrations, type Registrations } from './corrosion/registrations.ts';
import {
  createDirectory,
  type Directory,
  type DirectoryStats,
  type FilledDirectory,
} from './directory/directory.ts';
import type { WireguardPeer } from './hosts/host-facts.ts';
import { HostPools, type HostPoolsStats } from './hosts/host-pools.ts';
import { HostPresence } from './hosts/host-presence.ts';
import { createMeshHosts, type MeshHosts } from './hosts/mesh-hosts.ts';
import { MeshPeers } from './hosts/mesh-peers.ts';
import { insideOf } from './hosts/reach.ts';
import { silentHosts } from './hosts/silent-peers.ts';
import type { Namespace } from './namespaces.ts';
import { Sync, type SyncStats } from './sync.ts';

/** How long answers about the mesh wait until Podman has listed this host's networks, in ms. */
const ownNetworksWithinMs = 3000;

export interface DiscoveryOptions {
  hostMgmtIp: string;
  namespaces: readonly Namespace[];
  /** The label of a network that names its namespace. */
  namespaceLabel: string;
  corrosion: { url: string; tokenFile: string | undefined; timeoutMs?: number };
  /**
   * The file for the highest version of Corrosion's database, and the time between two writes of it, in ms. undefined: the version
   * is forgotten when the process ends.
   */
  versionFile?: { path: string; writeEveryMs?: number };
  intervalMs: number;
  podman: { lifecycle: PodmanLifecycle; networks: Pick<PodmanNetworks, 'list'> };
  readPeers(signal: AbortSignal): Promise<WireguardPeer[] | undefined>;
  log: Logger;
  /** How long after its last heartbeat a host is gone, in ms. */
  hostTtlMs: number;
  /** This host's own slice for app networks; undefined when it has none. */
  networkPool: Cidr | undefined;
  /** Receives what Podman reports about containers. */
  tell?: ContainerTeller;
  /** How long a row of this host may differ from what was written, in ms. */
  auditPatienceMs?: number;
  /** Unix time in ms, used for `updated_at` and `seen_at` only. */
  clock?: () => number;
}

/** Both directions of discovery: this host's containers into Corrosion, and the mesh's containers into memory. */
export interface Discovery {
  directory: Directory;
  registrations: Registrations;
  /** This host's containers, as Podman reported them last. */
  containers: Pick<HostContainers, 'facts'>;
  /** Sets the IPv4 networks whose addresses belong to the mesh, in addition to those of the peers. */
  meshNetworks(networks: readonly string[]): void;
  /** The other hosts of the mesh and the rows of dead ones. */
  hosts: MeshHosts;
  /** The slices of other hosts for app networks. */
  pools: Pick<HostPools, 'others'>;
  /** Reports that a container of this host may have changed. */
  touch(containerId: string): void;
  tasks: Record<string, Task>;
  stats(): DiscoveryStats;
}

export interface DiscoveryStats {
  directory: DirectoryStats;
  sync: SyncStats;
  pools: HostPoolsStats;
  /** Whether Corrosion's database was put back to an older state, so that other hosts ignore its changes. */
  databasePutBack: boolean;
  /** Hosts that WireGuard sends to without an answer, and that are not gone yet. */
  silent: readonly SilentHost[];
}

export interface SilentHost {
  hostMgmtIp: string;
  /** Seconds since the last handshake. undefined: there was none. */
  lastHandshakeS: number | undefined;
  /** The number of its containers, which DNS still answers. */
  rows: number;
}

/** @returns discovery, which does nothing until its tasks run */
export function createDiscovery(options: DiscoveryOptions): Discovery {
  const { hostMgmtIp, log, clock = Date.now } = options;
  const filled = createDirectory(hostMgmtIp);
  const doubt = (why: string) => {
    sync.doubt();
    mesh.restart(why);
  };
  const version = keepVersion({
    ...options.versionFile,
    log,
    onPutBack: () => doubt('the database was restored to an older state'),
  });
  const { beforeTransaction } = version;
  const corrosion = createCorrosion({ ...options.corrosion, beforeTransaction });
  const mesh = followMesh(corrosion, filled, { log: log.child('directory'), onRegained: () => sync.doubt() });
  const registrations = createRegistrations(corrosion, hostMgmtIp, clock);
  const { sync, containers, networksKnown } = ownSide(options, { corrosion, filled, registrations, doubt });
  const peers = new MeshPeers({ readPeers: options.readPeers, onReach: filled.setReach, log });
  const presence = new HostPresence({
    corrosion,
    hostMgmtIp,
    clock,
    ttlMs: options.hostTtlMs,
    onGone: filled.setGone,
    log: log.child('hosts'),
  });
  const pools = new HostPools({
    corrosion,
    hostMgmtIp,
    clock,
    pool: options.networkPool,
    log: log.child('pools'),
  });
  return {
    pools,
    hosts: createMeshHosts({
      corrosion,
      hostMgmtIp,
      isSeen: host => presence.isSeen(host),
      lastWord: host => presence.lastWord(host),
      hasPeer: host => peers.has(host),
    }),
    directory: filled.directory,
    meshNetworks: changedOnly(networks => filled.setMeshNetworks(insideOf(networks))),
    registrations,
    containers,
    touch: id => sync.touch(id),
    stats: () => ({
      directory: filled.directory.stats(),
      sync: sync.stats(),
      pools: pools.stats(),
      databasePutBack: version.isPutBack(),
      silent: silentHostsOf(peers, filled, presence),
    }),
    tasks: {
      sync: async signal => {
        const { tokenFile } = options.corrosion;
        // A secret that others can read is refused at start (docs/contract.md §3).
        if (tokenFile !== undefined) await readSecretFile(tokenFile);
        await sync.keep(signal);
      },
      'podman-events': signal => sync.watch(signal),
      'corrosion-version': version.task,
      directory: async signal => {
        await untilJudged(peers.firstLook, networksKnown, signal).catch(() => {});
        if (!signal.aborted) await mesh.endpoints(signal);
      },
      registrations: mesh.registrations,
      peers: signal => peers.watch(signal),
      ...presence.tasks,
      ...pools.tasks,
    },
  };
}

/** Makes the parts that write this host's containers into Corrosion. */
function ownSide(
  options: DiscoveryOptions,
  {
    corrosion,
    filled,
    registrations,
    doubt,
  }: {
    corrosion: Corrosion;
    filled: FilledDirectory;
    registrations: Registrations;
    doubt(why: string): void;
  },
) {
  const { hostMgmtIp, podman, clock = Date.now, auditPatienceMs } = options;
  const { lifecycle, networks } = podman;
  const log = options.log.child('sync');
  const { promise: networksKnown, resolve: onNetworksKnown } = Promise.withResolvers<void>();
  const containers = createHostContainers({
    ...options,
    lifecycle,
    networks,
    log,
    onNetworks(subnets) {
      filled.setOwnNetworks(subnets);
      onNetworksKnown();
    },
  });
  const audit = createAudit({
    ...(auditPatienceMs === undefined ? {} : { patienceMs: auditPatienceMs }),
    row: filled.row,
    count: () => filled.hosts().get(hostMgmtIp) ?? 0,
    containers: () => filled.containersOf(hostMgmtIp),
    isConnected: () => filled.directory.stats().connected,
    onDoubt(why) {
      log.warn({ why }, "this host's rows differ from those that it wrote; reading and writing them again");
      doubt(why);
    },
  });
  const sync = new Sync({
    events: lifecycle.events,
    containers,
    writer: new OwnRows(corrosion, ownEndpoints(hostMgmtIp, clock)),
    aliases: new AliasWriter(corrosion, hostMgmtIp, clock, log),
    registrations,
    intervalMs: options.intervalMs,
    onReconciled: audit,
    log,
  });
  return { sync, containers, networksKnown };
}

/**
 * Waits until this host knows which addresses lead to other hosts. Before that, every row of the mesh would be answered, even with
 * an address that a container of this host has. The peers tell it, or, on a host without readable peers, its own networks.
 *
 * @throws the reason of the signal
 */
async function untilJudged(
  peersLook: Promise<boolean>,
  networksKnown: Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  if (await orAborted(peersLook, signal)) return;
  const waited = new AbortController();
  const late = pause(ownNetworksWithinMs, waited.signal);
  await orAborted(Promise.race([networksKnown, late]), signal).finally(() => waited.abort());
}

/** Returns the hosts among the silent peers that are not gone, with the number of their rows. */
function silentHostsOf(peers: MeshPeers, filled: FilledDirectory, presence: HostPresence): SilentHost[] {
  const rows = filled.hosts();
  const gone = new Set(filled.directory.stats().hostsGone);
  const isHost = (address: string) =>
    !gone.has(address) && (rows.has(address) || presence.lastWord(address) !== undefined);
  return silentHosts(peers.silent(), isHost).map(host => ({ ...host, rows: rows.get(host.hostMgmtIp) ?? 0 }));
}

/** Returns a function that passes a list on only if it differs from the last one: networks are listed every few seconds. */
function changedOnly(use: (networks: readonly string[]) => void): (networks: readonly string[]) => void {
  let last = '';
  return networks => {
    const now = networks.toSorted().join();
    if (now === last) return;
    last = now;
    use(networks);
  };
}
