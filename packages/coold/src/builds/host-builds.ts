import type { Logger, Task } from '@coold/runtime';
import type { CooldConfig } from '../config.ts';
import { wireguardInterface } from '../discovery/hosts/host-facts.ts';
import { type Builds, createBuilds } from './builds.ts';
import { keepsFromBuilding } from './capability.ts';
import { Driver } from './driver.ts';
import { createWorkFolders } from './folder/work-folder.ts';
import { keepBuilds } from './keep-builds.ts';
import { createBuildNetworks } from './network/build-networks.ts';
import { createHostNetwork } from './network/host-network.ts';
import { createSystemd, readUnitStates } from './unit/systemd.ts';
import type { BuilderConfig } from './unit/unit.ts';

/** The builds of this host, as the daemon runs them. */
export interface HostBuilds {
  builds: Builds;
  task: Task;
  /** Resolves once the first attempt to adopt the builds of an earlier coold is over, whether it succeeded or not. */
  tried: Promise<void>;
  /** Whether this host may announce that it builds, given its token. If not, the log says why. */
  mayBuild(token: string): Promise<boolean>;
}

/** In /run, so that it disappears with a reboot, like the networks of builds. */
const resolvConf = '/run/coolify/build-resolv.conf';

/** Returns the builds on this host's disk and in this host's systemd. */
export function createHostBuilds(config: CooldConfig, log: Logger): HostBuilds {
  const unit: BuilderConfig = {
    bin: config.builderBin,
    timeoutSecs: config.builderTimeoutSecs,
    memoryMax: config.builderMemoryMax,
    cpuQuota: config.builderCpuQuota,
    diskMax: config.builderDiskMax,
    inodesMax: config.builderInodesMax,
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
    resolvConf,
    host: createHostNetwork(),
    log,
  });
  const folders = createWorkFolders(config.builderWorkDir);
  const stopping = new AbortController();
  const builds = createBuilds({
    folders,
    log,
    capacity: config.builderCapacity,
    stop: stopping.signal,
    driver: new Driver({ folders, systemd, networks, config: unit, log }),
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
        log.warn({ reason }, 'this host does not announce that it builds; checking again at the next dial');
      lastReason = reason;
      return reason === undefined;
    },
  };
}
