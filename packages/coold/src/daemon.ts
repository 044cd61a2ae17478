import { readVerbs } from '@coold/proto';
import {
  certificateLife,
  createChangeSignal,
  type Hangups,
  keepMetrics,
  type Logger,
  type Readiness,
  rememberLines,
  type Task,
  untilAborted,
} from '@coold/runtime';
import { createHostBuilds } from './builds/host-builds.ts';
import type { CooldConfig } from './config.ts';
import { brokerStreamTasks } from './daemon/broker-stream.ts';
import { createOperations, type Operations } from './daemon/operations.ts';
import { createParts, type FirewallParts } from './daemon/parts.ts';
import { createSurface } from './daemon/surface.ts';
import { watchHost } from './events/watch-host.ts';
import { keepGuard } from './firewall/keep/keep-guard.ts';
import { keepHooks } from './firewall/keep/keep-hooks.ts';
import { watchFlows } from './firewall/keep/watch-flows.ts';
import { makeRunFolder } from './run-folder.ts';
import { createLinkState } from './status/link-state.ts';
import { openApiDocument } from './transport/openapi.ts';
import { restRoutes } from './transport/rest-route.ts';
import { keepApi, keepStatus } from './transport/serve-api.ts';
import { createStreams, type Streams } from './transport/streams.ts';
import { type RecordCall, recordCalls } from './verbs/calls.ts';
import type { Served } from './verbs/surface.ts';

export interface CooldOptions {
  config: CooldConfig;
  version: string;
  hangups: Hangups;
  log: Logger;
  readiness: Readiness;
}

/** How many recent warnings and errors `coold status` shows. */
const recentLines = 8;

/** Returns coold's tasks by name. When any of them ends, the process ends. */
export function cooldTasks(given: CooldOptions): Record<string, Task> {
  const { log, recent } = rememberLines(given.log, recentLines);
  const options = { ...given, log };
  const { config, hangups, readiness } = options;
  const parts = createParts(options);
  const { discovery, dns, hostRoute, firewall, namespaceNetworks, events } = parts;
  const replaced = createChangeSignal();
  const surface = createSurface(options, parts, replaced.announce);
  const { brokerUrl } = config;
  const link = brokerUrl === undefined || config.grpcDisabled ? undefined : createLinkState();
  // Builds arrive on the broker's stream only.
  const building =
    link !== undefined && config.builderEnabled ? createHostBuilds(config, log.child('builds')) : undefined;
  const operations = createOperations(options, {
    parts,
    link,
    building,
    recent,
    verdictLog: given.log.child('status'),
  });
  const { metrics, status } = operations;
  const record = recordCalls(log.child('api'), metrics);
  const streams = createStreams(log.child('api'));
  // Without a listener, SIGHUP would end the process. Whatever has files to read again listens as well.
  hangups.on('SIGHUP', () => log.info('SIGHUP: files that may have changed are read again'));
  void firewall.differences().then(({ all }) => {
    for (const difference of all) log.child('firewall').error(difference);
  });
  const { tasks: firewallTasks, settled } = keepFirewall(firewall, log);
  const tasks: Record<string, Task> = {
    readiness: announce(readiness, settled, () => link?.now().line ?? 'serving'),
    ...firewallTasks,
    namespaceNetworks: namespaceNetworks.settle,
    streams: streams.task,
    verdict: operations.verdict.task,
    'unit-failures': operations.unitFailures.look,
    status: keepStatus({
      path: config.unixSocketPath,
      metrics,
      status,
      record,
      streams,
      log: log.child('api'),
      // `coold why` needs this route also where REST is off.
      routes: restRoutes(surface).filter(({ verb }) => verb.name === 'firewall.explain'),
      prepare: () => makeRunFolder(config.unixSocketPath),
    }),
    ...metricsTask(options, operations),
    ...apiTask(options, { surface, record, streams, operations }),
    dns: stop => dns.run(stop),
    events: watchHost(events, {
      firewall: () => firewall.store.state(),
      repairs: () => ({ hooks: firewall.hookRepairs, deny: firewall.deny.repairs() }),
      listeners: () => dns.stats().listeners,
      builds: building?.builds.hosted,
    }),
    ...(hostRoute === undefined ? {} : { hostRoute: hostRoute.run }),
    ...discovery.tasks,
  };
  if (brokerUrl === undefined || link === undefined) {
    const why = brokerUrl === undefined ? 'COOLD_BROKER_URL is not set' : 'COOLD_GRPC_DISABLED is set';
    log.info(`${why}: no stream to a broker`);
    return tasks;
  }
  return {
    ...tasks,
    ...brokerStreamTasks(options, {
      brokerUrl,
      link,
      surface,
      streams,
      record,
      operations,
      building,
      replaced,
    }),
  };
}

/** The tasks that maintain the firewall. `settled` resolves once each has checked the kernel for the first time. */
function keepFirewall(
  firewall: FirewallParts,
  log: Logger,
): { tasks: Record<string, Task>; settled: Promise<unknown> } {
  const { apiGuard, counters, flows, hooked, readers, view } = firewall;
  const looked = Promise.withResolvers<void>();
  const loaded = Promise.withResolvers<void>();
  const guarded = Promise.withResolvers<void>();
  const denied = Promise.withResolvers<void>();
  const firewallLog = log.child('firewall');
  return {
    tasks: {
      hooks: keepHooks({
        changes: hooked,
        view,
        log: firewallLog,
        onFirstLook: looked.resolve,
        onRepair() {
          firewall.hookRepairs += 1;
        },
        isKept: () => ['in place', 'broken'].includes(firewall.deny.state().kind),
      }),
      deny: firewall.deny.keep(denied.resolve),
      firewall: firewall.keep(loaded.resolve),
      flows: watchFlows(flows, counters, firewallLog),
      guard: keepGuard({
        apiGuard,
        changes: hooked,
        view,
        log: firewallLog,
        onProblem(why) {
          firewall.guardProblem = why;
        },
        onFirstLook: guarded.resolve,
      }),
      ...(readers === undefined ? {} : { explanations: signal => readers.index.keep(signal) }),
    },
    settled: Promise.all([looked.promise, loaded.promise, guarded.promise, denied.promise]),
  };
}

/** Serves metrics to anyone who can reach their address, if one is configured (docs/contract.md §3). */
function metricsTask({ config, log }: CooldOptions, { metrics, unserved }: Operations): Record<string, Task> {
  const { metricsBind } = config;
  if (metricsBind === undefined) return {};
  return {
    metrics: keepMetrics({
      bind: metricsBind,
      render: metrics.render,
      onProblem: unserved.note('metrics', metricsBind),
      log: log.child('metrics'),
    }),
  };
}

/** Serves REST, if it has an address (docs/contract.md §3). */
function apiTask(
  { config, version, hangups, log: root }: CooldOptions,
  parts: {
    surface: ReadonlyMap<string, Served>;
    record: RecordCall;
    streams: Streams;
    operations: Operations;
  },
): Record<string, Task> {
  const { surface, record, streams } = parts;
  const { metrics, status, ends, unserved, unread } = parts.operations;
  const { apiBind, apiTokenFile, tlsCert, tlsKey } = config;
  if (apiBind === undefined || apiTokenFile === undefined) return {};
  const routes = restRoutes(surface);
  const api = keepApi({
    bind: apiBind,
    onProblem: unserved.note('rest', apiBind),
    unread,
    tokenFile: apiTokenFile,
    tls: tlsCert === undefined || tlsKey === undefined ? undefined : { cert: tlsCert, key: tlsKey },
    hangups,
    onCertificate: pem => ends.know('api_certificate', certificateLife(pem)),
    routes,
    document: openApiDocument(readVerbs().values(), version),
    metrics,
    status,
    record,
    streams,
    log: root.child('api'),
  });
  return { api };
}

/**
 * Reports readiness once the local tasks run and the default deny was checked, since containers may start by themselves
 * then. Whether the broker can be reached is reported as `STATUS=` and does not affect readiness.
 */
function announce(readiness: Readiness, firewall: Promise<unknown>, state: () => string): Task {
  return async signal => {
    const stopped = untilAborted(signal);
    await Promise.race([firewall, stopped]);
    if (!signal.aborted) await readiness.ready(state());
    await stopped;
    await readiness.stopping();
  };
}
