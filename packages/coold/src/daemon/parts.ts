import { dirname, join } from 'node:path';
import { type ChangeSignal, createChangeSignal } from '@coold/runtime';
import type { CooldConfig } from '../config.ts';
import type { CooldOptions } from '../daemon.ts';
import { versionFileName } from '../discovery/corrosion/version-file.ts';
import { createDiscovery, type Discovery } from '../discovery/discovery.ts';
import { readPeers, wireguardInterface } from '../discovery/hosts/host-facts.ts';
import { createDns, type Dns } from '../dns/dns.ts';
import { hostListener, hostServer } from '../dns/host-route/host-server.ts';
import { type HostRoute, keepHostRoute } from '../dns/host-route/keep-host-route.ts';
import { containerEvents } from '../events/container-events.ts';
import { createEventLog, type EventLog } from '../events/event-log.ts';
import { loadReaders } from '../firewall/explain/load-readers.ts';
import { createFirewall, type Firewall } from '../firewall/firewall.ts';
import { type ApiGuard, ownSockets } from '../firewall/keep/api-guard.ts';
import { createDnsArrivals } from '../firewall/keep/dns-arrivals.ts';
import type { FlowState } from '../firewall/keep/watch-flows.ts';
import { type KernelView, noKernelView } from '../firewall/netlink/kernel-view.ts';
import { loadKernelView } from '../firewall/planes/load-kernel-view.ts';
import { readDesiredScaffold } from '../firewall/scaffold/desired-scaffold.ts';
import { createGuardCounters, type GuardCounters } from '../firewall/scaffold/guard-counters.ts';
import { joinedFileName } from '../firewall/scaffold/joined-file.ts';
import { createJoinedSubnets } from '../firewall/scaffold/joined-subnets.ts';
import { readDifferences } from '../firewall/scaffold/read-differences.ts';
import { createPodman, type Podman } from '../podman/client.ts';
import type { PodmanNetwork } from '../podman/networks.ts';
import { createPodmanCalls, type PodmanCalls } from '../podman/podman-calls.ts';
import { watchNetworks } from '../podman/watch-networks.ts';
import type { FirewallVerbs } from '../verbs/firewall.ts';
import {
  createNamespaceNetworks,
  type NamespaceNetworks,
  namespaceLabel,
} from '../verbs/network/namespace-networks.ts';
import { meshNetworks, servedNetworks } from '../verbs/network/network-dns.ts';

/** The parts of the daemon that every verb, task and metric may need. None of them does anything before its task runs. */
export interface Parts {
  podman: Podman;
  /** The counts of calls to Podman. */
  podmanCalls: PodmanCalls;
  events: EventLog;
  discovery: Discovery;
  dns: Dns;
  /** undefined: COOLD_DNS_HOST_ROUTE does not ask for it. */
  hostRoute: HostRoute | undefined;
  firewall: FirewallParts;
  namespaceNetworks: NamespaceNetworks;
}

/** The firewall, and what is known around it. */
export interface FirewallParts extends Firewall {
  /** What verbs and metrics see of it. */
  verbs: FirewallVerbs;
  /** Who may reach coold's own sockets. */
  apiGuard: ApiGuard;
  /** Whether allowed flows pass. */
  flows: FlowState;
  /** Announced whenever the hooks of the default deny may have changed. */
  hooked: ChangeSignal;
  /** How often hooks were put back. */
  hookRepairs: number;
  /** Why the guard cannot be told what containers must not reach on this host; undefined: it is up to date. */
  guardProblem: string | undefined;
  /** Tells whether the packet filter changed. */
  view: KernelView;
  /** What the guard's sets have counted. */
  counters: GuardCounters;
  /** What explains flows by the kernel's own rules. undefined: without node:ffi nothing can. */
  readers: ReturnType<typeof loadReaders> | undefined;
  /** Reads how coold's own settings differ from what the default deny is made of. */
  differences(): ReturnType<typeof readDifferences>;
}

/** Makes the parts, and joins those that tell each other what they see. */
export function createParts({ config, log }: Pick<CooldOptions, 'config' | 'log'>): Parts {
  const podmanCalls = createPodmanCalls();
  const connected = createPodman(config.podmanSocket, { onCall: podmanCalls.note });
  const onNetworks = tellOfNetworks(config, () => ({ dns, discovery, firewall }));
  const podman: Podman = { ...connected, networks: watchNetworks(connected.networks, onNetworks) };
  const events = createEventLog();
  const discovery = createDiscovery({
    tell: { ...containerEvents(events), whole: () => events.begin() },
    hostMgmtIp: config.hostMgmtIp,
    namespaces: config.namespaces,
    namespaceLabel,
    corrosion: { url: config.corrosionUrl, tokenFile: config.corrosionTokenFile },
    versionFile: { path: join(dirname(config.rulesPath), versionFileName) },
    intervalMs: config.reconcileInterval,
    hostTtlMs: config.hostTtl,
    networkPool: config.networkPool,
    podman,
    readPeers: signal => readPeers(wireguardInterface, signal),
    log: log.child('discovery'),
  });
  // What speaks against node:ffi for DNS speaks against it here too.
  const view = config.dnsIo === 'node' ? noKernelView : loadKernelView();
  const counters = createGuardCounters(view);
  const dns = createDns({
    zone: config.dnsZone,
    upstreams: config.dnsUpstream,
    threads: config.dnsThreads,
    io: config.dnsIo,
    namespaces: config.namespaces,
    answersHost: config.dnsHostRoute,
    directory: discovery.directory,
    listeners: { arrivals: createDnsArrivals(counters, log.child('firewall')) },
    log: log.child('dns'),
  });
  const hostRoute = config.dnsHostRoute
    ? keepHostRoute({
        link: wireguardInterface,
        zone: config.dnsZone,
        server: hostServer,
        isServed: () =>
          dns.stats().listeners.some(({ namespace, bound }) => namespace === hostListener && bound),
        log: log.child('dns'),
      })
    : undefined;
  const firewall = createFirewallParts({ config, log }, discovery, { view, counters });
  const namespaceNetworks = createNamespaceNetworks(
    podman.networks,
    createJoinedSubnets(join(dirname(config.rulesPath), joinedFileName)),
    log.child('firewall'),
  );
  return { podman, podmanCalls, events, discovery, dns, hostRoute, firewall, namespaceNetworks };
}

function createFirewallParts(
  { config, log }: Pick<CooldOptions, 'config' | 'log'>,
  { directory, pools }: Discovery,
  { view, counters }: Pick<FirewallParts, 'view' | 'counters'>,
): FirewallParts {
  const hooked = createChangeSignal();
  const apiGuard: ApiGuard = {
    sockets: ownSockets(config),
    clients: config.apiAllowFrom ?? [],
    isTold: false,
  };
  const firewall = createFirewall({
    chain: config.chainName,
    apiGuard,
    view,
    rulesPath: config.rulesPath,
    bridgeRulesPath: config.bridgeRulesPath,
    log: log.child('firewall'),
    onHooked: hooked.announce,
    meshEnv: config.meshEnv,
  });
  const differences = () => readDifferences({ ...config, otherPools: pools.others() });
  const parts: FirewallParts = {
    ...firewall,
    verbs: {
      ...firewall,
      hookRepairs: () => parts.hookRepairs,
      denyRepairs: firewall.deny.repairs,
      knownAddresses: () => directory.addresses(),
      uselessBecause: async () => (await differences()).useless,
    },
    apiGuard,
    flows: { lost: undefined },
    hooked,
    hookRepairs: 0,
    guardProblem: undefined,
    view,
    counters,
    readers: config.dnsIo === 'node' ? undefined : loadReaders(config.chainName, log.child('explanations')),
    differences,
  };
  return parts;
}

/** Returns what tells DNS, the default deny and discovery of the networks that Podman listed. */
function tellOfNetworks(
  config: CooldConfig,
  parts: () => {
    dns: Pick<Dns, 'serveNetworks'>;
    discovery: Pick<Discovery, 'meshNetworks'>;
    firewall: Pick<Firewall, 'lookAtDeny'>;
  },
): (networks: readonly PodmanNetwork[]) => void {
  let names = '';
  return networks => {
    const { dns, discovery, firewall } = parts();
    dns.serveNetworks(servedNetworks(networks, config.namespaces));
    const namesNow = networks
      .map(({ name }) => name)
      .sort()
      .join();
    if (namesNow !== names) firewall.lookAtDeny();
    names = namesNow;
    void readDesiredScaffold(config.meshEnv).then(desired =>
      discovery.meshNetworks(meshNetworks(networks, config.namespaces, desired)),
    );
  };
}
