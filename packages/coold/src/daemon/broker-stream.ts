import { create } from '@bufbuild/protobuf';
import { type Hello, HelloSchema, SCHEMA_MIN } from '@coold/proto';
import { authorityLife, type ChangeSignal, createChangeSignal, type Task, tokenLife } from '@coold/runtime';
import { namedInHello } from '../builds/hello-builds.ts';
import type { HostBuilds } from '../builds/host-builds.ts';
import type { CooldConfig } from '../config.ts';
import type { CooldOptions } from '../daemon.ts';
import type { BrokerUrl } from '../link/broker-url.ts';
import { keepLink } from '../link/link.ts';
import { watchWays } from '../link/watch-ways.ts';
import type { LinkState } from '../status/link-state.ts';
import { createServeCommands } from '../transport/stream.ts';
import type { Streams } from '../transport/streams.ts';
import type { RecordCall } from '../verbs/calls.ts';
import type { Served } from '../verbs/surface.ts';
import type { Operations } from './operations.ts';

export interface BrokerStreamOptions {
  brokerUrl: BrokerUrl;
  link: LinkState;
  surface: ReadonlyMap<string, Served>;
  streams: Streams;
  record: RecordCall;
  operations: Pick<Operations, 'ends' | 'clock'>;
  /** undefined: this host does not build. */
  building: HostBuilds | undefined;
  /** Announced when the host's token was replaced. */
  replaced: ChangeSignal;
}

/** Returns the tasks that keep the stream to the broker, by name. */
export function brokerStreamTasks(
  { config, version, log, readiness }: CooldOptions,
  options: BrokerStreamOptions,
): Record<string, Task> {
  const { link, surface, streams, record, building } = options;
  const { ends, clock } = options.operations;
  const ways = createChangeSignal();
  const keep = keepLink({
    url: options.brokerUrl,
    tokenPath: config.hostJwtPath,
    caPath: config.brokerCa,
    reconnectEveryMs: config.brokerReconnectEvery,
    hello: token => hello({ config, version, surface, building }, token),
    serve: createServeCommands({ surface, streams, builds: building?.builds, record, log: log.child('api') }),
    log: log.child('link'),
    onState(line, connected) {
      link.changed(line, connected);
      void readiness.status(line);
    },
    onCredentials(known) {
      link.looked(known);
      const { token, ca } = known.current ?? {};
      ends.know('token', token === undefined ? undefined : tokenLife(token));
      ends.know('broker_ca', ca === undefined ? undefined : authorityLife(ca));
    },
    ways,
    replaced: options.replaced,
    clock,
  });
  return {
    ...(building === undefined ? {} : { builds: building.task }),
    ways: watchWays(ways, log.child('link')),
    // A Hello before the builds are known would tell the broker that they are lost.
    link: async stop => {
      await building?.tried;
      return keep(stop);
    },
  };
}

async function hello(
  {
    config,
    version,
    surface,
    building,
  }: { config: CooldConfig; version: string } & Pick<BrokerStreamOptions, 'surface' | 'building'>,
  token: string,
): Promise<Hello> {
  const isBuilder = (await building?.mayBuild(token)) ?? false;
  return create(HelloSchema, {
    hostMgmtIp: config.hostMgmtIp,
    cooldVersion: version,
    schemaMin: SCHEMA_MIN,
    // Only what this coold serves: a broker answers 501 for the rest at once, where coold could not.
    schemaMax: Math.max(...[...surface.values()].map(({ verb }) => verb.schema)),
    capabilities: isBuilder ? ['coold', 'builder'] : ['coold'],
    builderCapacity: isBuilder ? config.builderCapacity : 0,
    builds: namedInHello(building?.builds.hosted() ?? []),
  });
}
