import type { Logger, Task } from '@coold/runtime';
import { wireguardInterface } from '../api/host.ts';
import type { CooldConfig } from '../config.ts';
import { type Builds, createBuilds } from './builds.ts';
import { keepsFromBuilding } from './capability.ts';
import { createDriver } from './driver.ts';
import { keepBuilds } from './keep-builds.ts';
import { createBuildNetworks } from './network/build-networks.ts';
import { createHostNetwork } from './network/host-network.ts';
import { createSystemd } from './systemd.ts';
import type { BuilderConfig } from './unit.ts';
import { readUnitStates } from './unit-states.ts';
import { createWorkFolders } from './work-folder.ts';

/** The builds of a host as its daemon has them. */
export interface HostBuilds {
  builds: Builds;
  task: Task;
  /** Resolves once those of an earlier coold were looked at, or could not be. */
  tried: Promise<void>;
  /** Whether this host is to say that it builds, with this token; when not, the log says why. */
  mayBuild(token: string): Promise<boolean>;
}

/** Beside coold's own socket: it is there until the host is booted, as the networks are. */
const resolvConf = '/run/coolify/build-resolv.conf';

/** The real ones: on this host's disk, in this host's systemd. */
export function createHostBuilds(config: CooldConfig, log: Logger): HostBuilds {
  const unit: BuilderConfig = {
    bin: config.builderBin,
    timeoutSecs: config.builderTimeoutSecs,
    memoryMax: config.builderMemoryMax,
    cpuQuota: config.builderCpuQuota,
    diskMax: config.builderDiskMax,
    cacheMax: config.builderCacheMax,
    denyNets: config.builderDenyNets,
    insecureRegistries: config.builderInsecureRegistries ?? [],
  };
  const systemd = createSystemd();
  const networks = createBuildNetworks({
    net: config.builderNet,
    allowed: config.builderAllowNets ?? [],
    denied: config.builderDenyNets,
    mesh: wireguardInterface,
    dns: { zone: config.dnsZone, upstreams: config.dnsUpstream },
    ...{ resolvConf, host: createHostNetwork(), log },
  });
  const folders = createWorkFolders(config.builderWorkDir);
  const stopping = new AbortController();
  const builds = createBuilds({
    ...{ folders, log, capacity: config.builderCapacity, stop: stopping.signal },
    driver: createDriver({ folders, systemd, networks, config: unit, log }),
    unitStates: () => readUnitStates(systemd, log),
  });
  const { promise: tried, resolve: onTried } = Promise.withResolvers<void>();
  const keep = keepBuilds(builds, log, onTried);
  let lastReason: string | undefined;
  return {
    builds,
    tried,
    async task(stop) {
      const onStop = () => stopping.abort();
      stop.addEventListener('abort', onStop, { once: true });
      if (stop.aborted) onStop();
      await Promise.all([keep(stop), networks.run(stop)]);
    },
    async mayBuild(token) {
      const reason = await keepsFromBuilding(token, unit.bin);
      if (reason !== undefined && reason !== lastReason)
        log.warn({ reason }, 'this host does not say that it builds; looked at again at the next dial');
      lastReason = reason;
      return reason === undefined;
    },
  };
}
