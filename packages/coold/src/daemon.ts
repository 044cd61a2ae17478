import { dirname, join } from 'node:path';
import { create } from '@bufbuild/protobuf';
import { HelloSchema, readVerbs, SCHEMA_MIN } from '@coold/proto';
import type { Logger, Readiness, Task } from '@coold/runtime';
import { type RecordCall, recordCalls } from './api/calls.ts';
import { dnsHandlers } from './api/dns.ts';
import type { FirewallVerbs } from './api/firewall.ts';
import { addFirewallMetrics } from './api/firewall-metrics.ts';
import { wireguardInterface } from './api/host.ts';
import { readPeers } from './api/host-facts.ts';
import { createMetrics, type Metrics } from './api/metrics.ts';
import { createNamespaceNetworks, namespaceLabel } from './api/namespace-networks.ts';
import { openApiDocument } from './api/openapi.ts';
import type { Hangups } from './api/reload.ts';
import { restRoutes } from './api/rest-route.ts';
import { keepApi, keepStatus } from './api/serve-api.ts';
import { serviceHandlers } from './api/services.ts';
import { createServeCommands } from './api/stream.ts';
import { createStreams, type Streams } from './api/streams.ts';
import { joinSurface, type Served } from './api/surface.ts';
import { verbHandlers } from './api/verbs.ts';
import type { CooldConfig } from './config.ts';
import { announceChanges } from './discovery/announce.ts';
import { createDiscovery } from './discovery/discovery.ts';
import { watchDiscovery } from './discovery/discovery-metrics.ts';
import { createDns } from './dns/dns.ts';
import { watchDns } from './dns/dns-metrics.ts';
import { createAnnouncement } from './firewall/announcement.ts';
import { createFirewall } from './firewall/firewall.ts';
import { joinedFileName } from './firewall/joined-file.ts';
import { createJoinedSubnets } from './firewall/joined-subnets.ts';
import { keepHooks } from './firewall/keep-hooks.ts';
import { keepLink } from './link/link.ts';
import { createPodman } from './podman/client.ts';

export interface CooldOptions {
  config: CooldConfig;
  version: string;
  /** Where status and metrics are without an API bind. */
  statusSocket: string;
  hangups: Hangups;
  log: Logger;
  readiness: Readiness;
}

/** The tasks of coold, by name; the end of any of them is the end of the process. */
export function cooldTasks(options: CooldOptions): Record<string, Task> {
  const { config, version, hangups, log, readiness } = options;
  const podman = createPodman(config.podmanSocket);
  const discovery = createDiscovery({
    hostMgmtIp: config.hostMgmtIp,
    namespaces: config.namespaces,
    namespaceLabel,
    corrosion: { url: config.corrosionUrl, tokenFile: config.corrosionTokenFile },
    intervalMs: config.reconcileInterval,
    podman,
    readPeers: signal => readPeers(wireguardInterface, signal),
    log: log.child('discovery'),
  });
  const dns = createDns({
    zone: config.dnsZone,
    upstream: config.dnsUpstream,
    namespaces: config.namespaces,
    directory: discovery.directory,
    log: log.child('dns'),
  });
  const hooked = createAnnouncement();
  const firewall = createFirewall({
    chain: config.chainName,
    rulesPath: config.rulesPath,
    bridgeRulesPath: config.bridgeRulesPath,
    log: log.child('firewall'),
    onHooked: hooked.announce,
  });
  let hookRepairs = 0;
  const firewallVerbs: FirewallVerbs = {
    ...firewall,
    hookRepairs: () => hookRepairs,
    knownAddresses: () => discovery.directory.addresses(),
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
      mesh: { namespaces: config.namespaces, zone: config.dnsZone },
      firewall: firewallVerbs,
      namespaceNetworks,
      log: log.child('api'),
    }),
    ...dnsHandlers(dns),
    ...serviceHandlers({ ...discovery, lifecycle: podman.lifecycle, hostMgmtIp: config.hostMgmtIp }),
  };
  const surface = joinSurface(readVerbs(), announceChanges(handlers, discovery.touch));
  const metrics = createMetrics(version);
  metrics.extend(registry => addFirewallMetrics(registry, firewallVerbs));
  metrics.extend(registry => watchDns(registry, dns.stats));
  metrics.extend(registry => watchDiscovery(registry, discovery.stats));
  const record = recordCalls(log.child('api'), metrics);
  const streams = createStreams(log.child('api'));
  // Its default would end the process. Whoever has files to read again listens too.
  hangups.on('SIGHUP', () => log.info('SIGHUP: files that may have changed are read again'));
  const looked = Promise.withResolvers<void>();
  const loaded = Promise.withResolvers<void>();
  const tasks: Record<string, Task> = {
    readiness: announce(readiness, Promise.all([looked.promise, loaded.promise])),
    hooks: keepHooks({
      changes: hooked,
      log: log.child('firewall'),
      onFirstLook: looked.resolve,
      onRepair() {
        hookRepairs += 1;
      },
    }),
    firewall: firewall.keep(loaded.resolve),
    namespaceNetworks: namespaceNetworks.settle,
    streams: streams.task,
    api: apiTask(options, { surface, metrics, record, streams }),
    dns: dns.run,
    ...discovery.tasks,
  };
  const { brokerUrl } = config;
  if (brokerUrl === undefined || config.grpcDisabled) {
    const why = brokerUrl === undefined ? 'COOLD_BROKER_URL is not set' : 'COOLD_GRPC_DISABLED is set';
    log.info(`${why}: no stream to a broker`);
    return tasks;
  }
  tasks['link'] = keepLink({
    url: brokerUrl,
    tokenPath: config.hostJwtPath,
    caPath: config.brokerCa,
    hello: create(HelloSchema, {
      hostMgmtIp: config.hostMgmtIp,
      cooldVersion: version,
      schemaMin: SCHEMA_MIN,
      // Only what it serves: a broker answers 501 for the rest at once, where we could not.
      schemaMax: Math.max(...[...surface.values()].map(({ verb }) => verb.schema)),
      capabilities: ['coold'],
      builderCapacity: 0,
    }),
    serve: createServeCommands({ surface, streams, record, log: log.child('api') }),
    log: log.child('link'),
    onState: line => void readiness.status(line),
  });
  return tasks;
}

/** REST where it has an address, else only status and metrics on a socket (CONTRACT §3). */
function apiTask(
  { config, version, statusSocket, hangups, log: root }: CooldOptions,
  parts: {
    surface: ReadonlyMap<string, Served>;
    metrics: Metrics;
    record: RecordCall;
    streams: Streams;
  },
): Task {
  const { surface, metrics, record, streams } = parts;
  const { apiBind, apiTokenFile, tlsCert, tlsKey } = config;
  const log = root.child('api');
  if (apiBind === undefined || apiTokenFile === undefined)
    return keepStatus({ path: statusSocket, metrics, record, streams, log });
  const routes = restRoutes(surface);
  return keepApi({
    bind: apiBind,
    tokenFile: apiTokenFile,
    tls: tlsCert === undefined || tlsKey === undefined ? undefined : { cert: tlsCert, key: tlsKey },
    hangups,
    routes,
    document: openApiDocument(routes, version),
    metrics,
    record,
    streams,
    log,
  });
}

/**
 * Ready as soon as the local tasks run and the default deny was seen to, since containers may start by themselves then;
 * whether the broker can be reached is `STATUS=`, never readiness.
 */
function announce(readiness: Readiness, firewall: Promise<unknown>): Task {
  return async signal => {
    await firewall;
    await readiness.ready('serving');
    await new Promise<void>(resolve => {
      if (signal.aborted) resolve();
      else signal.addEventListener('abort', () => resolve(), { once: true });
    });
    await readiness.stopping();
  };
}
