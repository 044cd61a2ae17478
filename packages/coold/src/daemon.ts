import { create } from '@bufbuild/protobuf';
import { HelloSchema, readVerbs, SCHEMA_MIN } from '@coold/proto';
import type { Logger, Readiness, Task } from '@coold/runtime';
import { type RecordCall, recordCalls } from './api/calls.ts';
import { createMetrics, type Metrics } from './api/metrics.ts';
import { openApiDocument } from './api/openapi.ts';
import type { Hangups } from './api/reload.ts';
import { restRoutes } from './api/rest-route.ts';
import { keepApi, keepStatus } from './api/serve-api.ts';
import { createServeCommands } from './api/stream.ts';
import { createStreams, type Streams } from './api/streams.ts';
import { joinSurface, type Served } from './api/surface.ts';
import { verbHandlers } from './api/verbs.ts';
import { createHostBuilds } from './builds/host-builds.ts';
import type { CooldConfig } from './config.ts';
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
  const surface = joinSurface(
    readVerbs(),
    verbHandlers(podman, {
      version,
      allowedMountSources: config.allowedMountSources ?? [],
      log: log.child('api'),
    }),
  );
  const metrics = createMetrics(version);
  const record = recordCalls(log.child('api'), metrics);
  const streams = createStreams(log.child('api'));
  // Its default would end the process. Whoever has files to read again listens too.
  hangups.on('SIGHUP', () => log.info('SIGHUP: files that may have changed are read again'));
  const looked = Promise.withResolvers<void>();
  const tasks: Record<string, Task> = {
    readiness: announce(readiness, looked.promise),
    hooks: keepHooks(log.child('firewall'), looked.resolve),
    streams: streams.task,
    api: apiTask(options, { surface, metrics, record, streams }),
  };
  const { brokerUrl } = config;
  if (brokerUrl === undefined || config.grpcDisabled) {
    const why = brokerUrl === undefined ? 'COOLD_BROKER_URL is not set' : 'COOLD_GRPC_DISABLED is set';
    log.info(`${why}: no stream to a broker`);
    return tasks;
  }
  const building = config.builderEnabled ? createHostBuilds(config, log.child('builds')) : undefined;
  if (building !== undefined) tasks['builds'] = building.task;
  const link = keepLink({
    url: brokerUrl,
    tokenPath: config.hostJwtPath,
    caPath: config.brokerCa,
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
        builds: building?.builds.hosted() ?? [],
      });
    },
    serve: createServeCommands({ surface, streams, builds: building?.builds, record, log: log.child('api') }),
    log: log.child('link'),
    onState: line => void readiness.status(line),
  });
  // A Hello before the builds are known would tell the broker that they are lost.
  tasks['link'] = async stop => {
    await building?.tried;
    return link(stop);
  };
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
function announce(readiness: Readiness, firewall: Promise<void>): Task {
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
