import { dirname } from 'node:path';
import {
  createUnreadFiles,
  createUnserved,
  keepVerdict,
  type Logger,
  type RememberedLine,
  type UnreadFilesList,
  type Unserved,
  type Verdict,
} from '@coold/runtime';
import { watchBuilds } from '../builds/build-metrics.ts';
import type { HostBuilds } from '../builds/host-builds.ts';
import type { CooldOptions } from '../daemon.ts';
import { watchDiscovery } from '../discovery/discovery-metrics.ts';
import { watchDns } from '../dns/dns-metrics.ts';
import { deniedButNotNamed } from '../firewall/scaffold/scaffold-differences.ts';
import { type BrokerClock, createBrokerClock, watchBrokerClock } from '../link/broker-clock.ts';
import { scrapedMetrics } from '../scraped-metrics.ts';
import { type CredentialEnds, createCredentialEnds, watchCredentialEnds } from '../status/credential-ends.ts';
import { type DiskPaths, watchDisks } from '../status/disks.ts';
import { findProblems } from '../status/judge-status.ts';
import { type LinkState, watchLink } from '../status/link-state.ts';
import { createMeshAddress, watchMeshAddress } from '../status/mesh-address.ts';
import { type CooldStatus, readStatus } from '../status/status.ts';
import {
  askSystemd,
  createUnitFailures,
  type UnitFailures,
  watchUnitFailures,
} from '../status/unit-failures.ts';
import { createUnknownFor } from '../status/unknown-for.ts';
import { addFirewallMetrics } from '../transport/firewall-metrics.ts';
import { createMetrics, type Metrics } from '../transport/metrics.ts';
import type { Parts } from './parts.ts';

/** Where Podman keeps images and containers, unless its own configuration says otherwise. */
const podmanStorage = '/var/lib/containers';
/** The unit that coold runs in. */
const ownUnit = 'coold.service';

/** What people and monitoring see of the daemon: the metrics, the status and its verdict. */
export interface Operations {
  metrics: Metrics;
  status: () => Promise<CooldStatus>;
  verdict: Verdict;
  /** When tokens and certificates run out. */
  ends: CredentialEnds;
  /** How far this host's clock is from the broker's. */
  clock: BrokerClock;
  unitFailures: UnitFailures;
  /** The addresses that could not be listened on. */
  unserved: Unserved;
  /** The files that could not be read again. */
  unread: UnreadFilesList;
}

export interface Observed {
  parts: Parts;
  /** undefined: there is no stream to a broker. */
  link: LinkState | undefined;
  /** undefined: this host does not build. */
  building: HostBuilds | undefined;
  /** The last warnings and errors. */
  recent: () => RememberedLine[];
  /** Where verdicts are logged. Not where `recent` listens: the status shows the verdict anyway. */
  verdictLog: Logger;
}

/** Makes the metrics and the status of the daemon's parts. */
export function createOperations(
  { config, version, log }: CooldOptions,
  { parts, link, building, recent, verdictLog }: Observed,
): Operations {
  const { podman, podmanCalls, discovery, dns, hostRoute, firewall } = parts;
  const metrics = createMetrics(version);
  metrics.extend(registry => addFirewallMetrics(registry, firewall.verbs));
  metrics.extend(podmanCalls.watch);
  metrics.extend(registry => watchDns(registry, () => dns.stats()));
  metrics.extend(registry => watchDiscovery(registry, discovery.stats));
  if (link !== undefined) metrics.extend(registry => watchLink(registry, link));
  if (building !== undefined) metrics.extend(registry => watchBuilds(registry, building.builds.hosted));
  const diskPaths: DiskPaths = {
    containers: podmanStorage,
    settings: dirname(config.rulesPath),
    ...(building === undefined ? {} : { builds: config.builderWorkDir }),
  };
  metrics.extend(registry => watchDisks(registry, diskPaths));
  const clock = createBrokerClock();
  if (link !== undefined) metrics.extend(registry => watchBrokerClock(registry, clock));
  const unitFailures = createUnitFailures(askSystemd(ownUnit), log);
  metrics.extend(registry => watchUnitFailures(registry, unitFailures));
  const mesh = createMeshAddress(config.hostMgmtIp);
  metrics.extend(registry => watchMeshAddress(registry, mesh));
  const ends = createCredentialEnds();
  const unserved = createUnserved();
  const unread = createUnreadFiles();
  const unknownFor = createUnknownFor();
  const status = () =>
    readStatus({
      version,
      link,
      recent,
      ending: () => ends.ending(),
      diskPaths,
      unserved: unserved.list,
      unread: unread.list,
      clockAheadMs: clock.aheadMs,
      restarted: unitFailures.restarted,
      mesh,
      podman: { version: podman.host.version, list: podman.lifecycle.list },
      discovery: discovery.stats,
      dns: () => dns.stats(),
      hostRoute: hostRoute?.state,
      firewall: {
        state: () => firewall.store.judgedState(),
        unknownFor,
        hookRepairs: () => firewall.hookRepairs,
        guardProblem: () => firewall.guardProblem,
        denyRepairs: firewall.deny.repairs,
        differences: async () => [
          ...(await firewall.differences()).all,
          ...deniedButNotNamed(firewall.deny.state()),
        ],
        lostFlows: () => firewall.flows.lost,
      },
      builds: building?.builds.hosted,
    });
  const verdict = keepVerdict({ judge: async () => findProblems(await status()), log: verdictLog });
  metrics.extend(registry =>
    scrapedMetrics(registry).gauge(
      'coold_problems',
      'How many problems `coold status` names, as of the last quarter of a minute',
      () => verdict.count(),
    ),
  );
  metrics.extend(registry => watchCredentialEnds(registry, ends));
  return { metrics, status, verdict, ends, clock, unitFailures, unserved, unread };
}
