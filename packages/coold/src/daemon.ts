import { dirname, join } from 'node:path';
import { create } from '@bufbuild/protobuf';
import { HelloSchema, readVerbs, SCHEMA_MIN } from '@coold/proto';
import { type Hangups, type Logger, type Readiness, rememberLines, type Task } from '@coold/runtime';
import { type RecordCall, recordCalls } from './api/calls.ts';
import { dnsHandlers } from './api/dns.ts';
import type { FirewallVerbs } from './api/firewall.ts';
import { addFirewallMetrics } from './api/firewall-metrics.ts';
import { wireguardInterface } from './api/host.ts';
import { readPeers } from './api/host-facts.ts';
import { meshHandlers } from './api/mesh.ts';
import { createMetrics, type Metrics } from './api/metrics.ts';
import { createNamespaceNetworks, namespaceLabel } from './api/namespace-networks.ts';
import { servedNetworks } from './api/network-dns.ts';
import { openApiDocument } from './api/openapi.ts';
import { ownPorts } from './api/own-ports.ts';
import { restRoutes } from './api/rest-route.ts';
import { keepApi, keepStatus } from './api/serve-api.ts';
import { serviceHandlers } from './api/services.ts';
import { createServeCommands } from './api/stream.ts';
import { createStreams, type Streams } from './api/streams.ts';
import { joinSurface, type Served } from './api/surface.ts';
import { verbHandlers } from './api/verbs.ts';
import { watchBuilds } from './builds/build-metrics.ts';
import { namedInHello } from './builds/hello-builds.ts';
import { createHostBuilds } from './builds/host-builds.ts';
import type { CooldConfig } from './config.ts';
import { announceChanges } from './discovery/announce.ts';
import { createDiscovery } from './discovery/discovery.ts';
import { watchDiscovery } from './discovery/discovery-metrics.ts';
import { createDns } from './dns/dns.ts';
import { watchDns } from './dns/dns-metrics.ts';
import { createAnnouncement } from './firewall/announcement.ts';
import { createDnsArrivals } from './firewall/dns-arrivals.ts';
import { createFirewall } from './firewall/firewall.ts';
import { joinedFileName } from './firewall/joined-file.ts';
import { createJoinedSubnets } from './firewall/joined-subnets.ts';
import { keepGuard } from './firewall/keep-guard.ts';
import { keepHooks } from './firewall/keep-hooks.ts';
import { readDifferences } from './firewall/read-differences.ts';
import { deniedButNotNamed } from './firewall/scaffold-differences.ts';
import { type FlowState, watchFlows } from './firewall/watch-flows.ts';
import { keepLink } from './link/link.ts';
import { createPodman, type Podman } from './podman/client.ts';
import { watchNetworks } from './podman/watch-networks.ts';
import { createLinkState, watchLink } from './status/link-state.ts';
import { readStatus } from './status/status.ts';

export interface CooldOptions {
  config: CooldConfig;
  version: string;
  hangups: Hangups;
  log: Logger;
  readiness: Readiness;
}

/** Warnings and errors that `coold status` shows. */
const recentLines = 8;

/** The tasks of coold, by name; the end of any of them is the end of the process. */
export function cooldTasks(given: CooldOptions): Record<string, Task> {
  const { log, recent } = rememberLines(given.log, recentLines);
  const options = { ...given, log };
  const { config, version, hangups, readiness } = options;
  const connected = createPodman(config.podmanSocket);
  const podman: Podman = {
    ...connected,
    networks: watchNetworks(connected.networks, networks =>
      dns.serveNetworks(servedNetworks(networks, config.namespaces)),
    ),
  };
  const discovery = createDiscovery({
    hostMgmtIp: config.hostMgmtIp,
    namespaces: config.namespaces,
    namespaceLabel,
    corrosion: { url: config.corrosionUrl, tokenFile: config.corrosionTokenFile },
    intervalMs: config.reconcileInterval,
    hostTtlMs: config.hostTtl,
    podman,
    readPeers: signal => readPeers(wireguardInterface, signal),
    log: log.child('discovery'),
  });
  const dns = createDns({
    zone: config.dnsZone,
    upstreams: config.dnsUpstream,
    threads: config.dnsThreads,
    namespaces: config.namespaces,
    directory: discovery.directory,
    listeners: { arrivals: createDnsArrivals(log.child('firewall')) },
    log: log.child('dns'),
  });
  const hooked = createAnnouncement();
  const denied = Promise.withResolvers<void>();
  const firewall = createFirewall({
    chain: config.chainName,
    rulesPath: config.rulesPath,
    bridgeRulesPath: config.bridgeRulesPath,
    log: log.child('firewall'),
    onHooked: hooked.announce,
    meshEnv: config.meshEnv,
  });
  const flows: FlowState = { lost: undefined };
  let hookRepairs = 0;
  const differences = () => readDifferences(config);
  const firewallVerbs: FirewallVerbs = {
    ...firewall,
    hookRepairs: () => hookRepairs,
    denyRepairs: firewall.deny.repairs,
    knownAddresses: () => discovery.directory.addresses(),
    uselessBecause: async () => (await differences()).useless,
  };
  const namespaceNetworks = createNamespaceNetworks(
    podman.networks,
    createJoinedSubnets(join(dirname(config.rulesPath), joinedFileName)),
    log.child('firewall'),
  );
  const handlers = {
    ...verbHandlers(podman, {
      version,
      allowedMountSources: config.allowedMountSources ?? [],
      mesh: { hostMgmtIp: config.hostMgmtIp, namespaces: config.namespaces, zone: config.dnsZone },
      known: discovery.containers,
      hostPorts: signal =>
        ownPorts(
          {
            apiBind: config.apiBind,
            gateways: config.namespaces.map(({ gateway }) => gateway),
            reserved: config.reservedPorts,
          },
          signal,
        ),
      firewall: firewallVerbs,
      namespaceNetworks,
      log: log.child('api'),
    }),
    ...dnsHandlers(dns),
    ...meshHandlers(discovery.hosts),
    ...serviceHandlers({ ...discovery, lifecycle: podman.lifecycle, hostMgmtIp: config.hostMgmtIp }),
  };
  const surface = joinSurface(readVerbs(), announceChanges(handlers, discovery.touch));
  const metrics = createMetrics(version);
  metrics.extend(registry => addFirewallMetrics(registry, firewallVerbs));
  metrics.extend(registry => watchDns(registry, dns.stats));
  metrics.extend(registry => watchDiscovery(registry, discovery.stats));
  const { brokerUrl } = config;
  const link = brokerUrl === undefined || config.grpcDisabled ? undefined : createLinkState();
  if (link !== undefined) metrics.extend(registry => watchLink(registry, link));
  // Nobody else asks for any.
  const building =
    link !== undefined && config.builderEnabled ? createHostBuilds(config, log.child('builds')) : undefined;
  if (building !== undefined) metrics.extend(registry => watchBuilds(registry, building.builds.hosted));
  const status = () =>
    readStatus({
      ...{ version, link, podman: podman.host, recent },
      ...{ discovery: discovery.stats, dns: dns.stats },
      firewall: {
        ...{
          state: firewall.store.state,
          hookRepairs: () => hookRepairs,
          denyRepairs: firewall.deny.repairs,
        },
        differences: async () => [...(await differences()).all, ...deniedButNotNamed(firewall.deny.state())],
        lostFlows: () => flows.lost,
      },
      builds: building?.builds.hosted,
    });
  const record = recordCalls(log.child('api'), metrics);
  const streams = createStreams(log.child('api'));
  // Its default would end the process. Whoever has files to read again listens too.
  hangups.on('SIGHUP', () => log.info('SIGHUP: files that may have changed are read again'));
  const looked = Promise.withResolvers<void>();
  const loaded = Promise.withResolvers<void>();
  const guarded = Promise.withResolvers<void>();
  void differences().then(({ all }) => {
    for (const difference of all) log.child('firewall').error(difference);
  });
  const tasks: Record<string, Task> = {
    readiness: announce(
      readiness,
      Promise.all([looked.promise, loaded.promise, guarded.promise, denied.promise]),
      () => link?.now().line ?? 'serving',
    ),
    hooks: keepHooks({
      changes: hooked,
      log: log.child('firewall'),
      onFirstLook: looked.resolve,
      onRepair() {
        hookRepairs += 1;
      },
      isKept: () => ['in place', 'broken'].includes(firewall.deny.state().kind),
    }),
    deny: firewall.deny.keep(denied.resolve),
    firewall: firewall.keep(loaded.resolve),
    flows: watchFlows(flows, log.child('firewall')),
    guard: keepGuard({
      sockets: config.apiBind === undefined ? [] : [config.apiBind],
      clients: config.apiAllowFrom ?? [],
      ...{ changes: hooked, log: log.child('firewall'), onFirstLook: guarded.resolve },
    }),
    namespaceNetworks: namespaceNetworks.settle,
    streams: streams.task,
    status: keepStatus({
      ...{ path: config.unixSocketPath, metrics, status, record, streams, log: log.child('api') },
    }),
    ...apiTask(options, { surface, metrics, status, record, streams }),
    dns: dns.run,
    ...discovery.tasks,
  };
  if (brokerUrl === undefined || link === undefined) {
    const why = brokerUrl === undefined ? 'COOLD_BROKER_URL is not set' : 'COOLD_GRPC_DISABLED is set';
    log.info(`${why}: no stream to a broker`);
    return tasks;
  }
  if (building !== undefined) tasks['builds'] = building.task;
  const keep = keepLink({
    url: brokerUrl,
    tokenPath: config.hostJwtPath,
    caPath: config.brokerCa,
    reconnectEveryMs: config.brokerReconnectEvery,
    hello: async token => {
      const isBuilder = (await building?.mayBuild(token)) ?? false;
      return create(HelloSchema, {
        hostMgmtIp: config.hostMgmtIp,
        cooldVersion: version,
        schemaMin: SCHEMA_MIN,
        // Only what it serves: a broker answers 501 for the rest at once, where we could not.
        schemaMax: Math.max(...[...surface.values()].map(({ verb }) => verb.schema)),
        capabilities: isBuilder ? ['coold', 'builder'] : ['coold'],
        builderCapacity: isBuilder ? config.builderCapacity : 0,
        builds: namedInHello(building?.builds.hosted() ?? []),
      });
    },
    serve: createServeCommands({ surface, streams, builds: building?.builds, record, log: log.child('api') }),
    log: log.child('link'),
    onState(line, connected) {
      link.changed(line, connected);
      void readiness.status(line);
    },
  });
  // A Hello before the builds are known would tell the broker that they are lost.
  tasks['link'] = async stop => {
    await building?.tried;
    return keep(stop);
  };
  return tasks;
}

/** REST, where it has an address (docs/contract.md §3). */
function apiTask(
  { config, version, hangups, log: root }: CooldOptions,
  parts: {
    surface: ReadonlyMap<string, Served>;
    metrics: Metrics;
    status: () => Promise<object>;
    record: RecordCall;
    streams: Streams;
  },
): Record<string, Task> {
  const { surface, metrics, status, record, streams } = parts;
  const { apiBind, apiTokenFile, tlsCert, tlsKey } = config;
  if (apiBind === undefined || apiTokenFile === undefined) return {};
  const routes = restRoutes(surface);
  const api = keepApi({
    bind: apiBind,
    tokenFile: apiTokenFile,
    tls: tlsCert === undefined || tlsKey === undefined ? undefined : { cert: tlsCert, key: tlsKey },
    hangups,
    routes,
    document: openApiDocument(routes, version),
    metrics,
    status,
    record,
    streams,
    log: root.child('api'),
  });
  return { api };
}

/**
 * Ready as soon as the local tasks run and the default deny was seen to, since containers may start by themselves then;
 * whether the broker can be reached is `STATUS=`, never readiness.
 */
function announce(readiness: Readiness, firewall: Promise<unknown>, state: () => string): Task {
  return async signal => {
    const stopped = new Promise<void>(resolve => {
      if (signal.aborted) resolve();
      else signal.addEventListener('abort', () => resolve(), { once: true });
    });
    await Promise.race([firewall, stopped]);
    if (!signal.aborted) await readiness.ready(state());
    await stopped;
    await readiness.stopping();
  };
}
