import { createCorrosion } from '@coold/corrosion';
import { type Logger, readSecretFile, type Task } from '@coold/runtime';
import type { WireguardPeer } from '../api/host-facts.ts';
import type { PodmanLifecycle } from '../podman/lifecycle.ts';
import type { PodmanNetworks } from '../podman/networks.ts';
import { createAudit } from './audit.ts';
import { createDirectory, type Directory, type DirectoryStats } from './directory.ts';
import { createEndpointWriter } from './endpoint-writer.ts';
import { followMesh } from './follow-mesh.ts';
import { createHostContainers, type HostContainers } from './host-containers.ts';
import { createHostPresence } from './host-presence.ts';
import { createMeshHosts, type MeshHosts } from './mesh-hosts.ts';
import type { Namespace } from './namespaces.ts';
import type { Reach } from './reach.ts';
import { createRegistrations, type Registrations } from './registrations.ts';
import { createSync, type SyncStats } from './sync.ts';
import { watchPeers } from './watch-peers.ts';

export interface DiscoveryOptions {
  hostMgmtIp: string;
  namespaces: readonly Namespace[];
  /** The label of a network that names its namespace. */
  namespaceLabel: string;
  corrosion: { url: string; tokenFile: string | undefined; timeoutMs?: number };
  intervalMs: number;
  podman: { lifecycle: PodmanLifecycle; networks: Pick<PodmanNetworks, 'list'> };
  readPeers(signal: AbortSignal): Promise<WireguardPeer[] | undefined>;
  log: Logger;
  /** A host is gone after so many ms without a sign of life. */
  hostTtlMs: number;
  /** Unix time in ms, for `updated_at` and `seen_at` alone: this host decides nothing by it. */
  clock?: () => number;
}

/** Both directions of discovery: this host's containers into Corrosion, the mesh's into memory. */
export interface Discovery {
  directory: Directory;
  registrations: Registrations;
  /** This host's containers, as Podman said last. */
  containers: Pick<HostContainers, 'facts'>;
  /** Other hosts of the mesh: whether they live, and what they left behind. */
  hosts: MeshHosts;
  /** A container of this host may have changed. */
  touch(containerId: string): void;
  tasks: Record<string, Task>;
  stats(): DiscoveryStats;
}

export interface DiscoveryStats {
  directory: DirectoryStats;
  sync: SyncStats;
}

export function createDiscovery(options: DiscoveryOptions): Discovery {
  const { hostMgmtIp, namespaces, namespaceLabel, intervalMs, podman, log, clock = Date.now } = options;
  const { tokenFile } = options.corrosion;
  const corrosion = createCorrosion(options.corrosion);
  const filled = createDirectory(hostMgmtIp);
  let reach: Reach | undefined;
  const registrations = createRegistrations(corrosion, hostMgmtIp, clock);
  const mesh = followMesh(corrosion, filled, {
    log: log.child('directory'),
    onReload: () => sync.doubt(),
  });
  const syncLog = log.child('sync');
  const audit = createAudit({
    hostMgmtIp,
    row: filled.row,
    count: () => filled.hosts().get(hostMgmtIp) ?? 0,
    isConnected: () => filled.directory.stats().connected,
    onDoubt(why) {
      syncLog.warn(
        { why },
        "this host's rows are not what was written: they are read back, and all rows anew",
      );
      sync.doubt();
      mesh.restart(why);
    },
  });
  const containers = createHostContainers({
    ...{ lifecycle: podman.lifecycle, networks: podman.networks, log: syncLog },
    ...{ namespaces, namespaceLabel, hostMgmtIp },
  });
  const sync = createSync({
    events: podman.lifecycle.events,
    containers,
    writer: createEndpointWriter(corrosion, hostMgmtIp, clock),
    registrations,
    intervalMs,
    onReconciled: audit,
    log: syncLog,
  });
  const presence = createHostPresence({
    ...{ corrosion, hostMgmtIp, clock, ttlMs: options.hostTtlMs },
    onGone: filled.setGone,
    log: log.child('hosts'),
  });
  return {
    hosts: createMeshHosts({
      ...{ corrosion, hostMgmtIp, isSeen: presence.isSeen },
      hasPeer: host => reach?.(host) ?? false,
    }),
    directory: filled.directory,
    registrations,
    containers,
    touch: sync.touch,
    stats: () => ({ directory: filled.directory.stats(), sync: sync.stats() }),
    tasks: {
      sync: async signal => {
        // A secret that others can read is refused at start (docs/contract.md §3).
        if (tokenFile !== undefined) await readSecretFile(tokenFile);
        await sync.keep(signal);
      },
      'podman-events': sync.watch,
      directory: mesh.endpoints,
      registrations: mesh.registrations,
      peers: watchPeers({
        ...{ readPeers: options.readPeers, log },
        onReach(now) {
          reach = now;
          filled.setReach(now);
        },
      }),
      ...presence.tasks,
    },
  };
}
