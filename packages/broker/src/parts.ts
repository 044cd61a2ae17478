import { readVerbs } from '@coold/proto';
import { createUnreadFiles, createUnserved, type Hangups, keepVerdict, type Logger } from '@coold/runtime';
import { handleStream } from './agent/agent-service.ts';
import { createHostCounts } from './agent/host-counts.ts';
import { keepHostTokens } from './agent/host-tokens.ts';
import { loadGivenBuilds } from './builds/build-given.ts';
import { loadBuildKey } from './builds/build-key.ts';
import { createNonces } from './builds/build-nonce.ts';
import { type Builds, createBuilds } from './builds/builds.ts';
import type { BrokerConfig } from './config.ts';
import { createDispatch } from './dispatch/dispatch.ts';
import { createPending, type Pending } from './dispatch/pending.ts';
import { recordDispatches } from './dispatch/record-dispatches.ts';
import { createSendToBroker } from './dispatch/send-to-broker.ts';
import type { GrpcListener } from './grpc/grpc.ts';
import { followListenerTls } from './grpc/listener-tls.ts';
import { type AwayHosts, createAwayHosts } from './hosts/away-hosts.ts';
import { createHosts, type Hosts } from './hosts/hosts.ts';
import { compileRoutes, largestBody } from './hosts/router.ts';
import { createLane } from './lane/lane.ts';
import { laneDocument } from './lane/lane-document.ts';
import { readPeerSettings } from './peers/peer-options.ts';
import type { Peers, PeersOptions } from './peers/peers.ts';
import { findProblems } from './status/judge-status.ts';
import { createMetrics, type Sources } from './status/metrics.ts';
import { readStatus } from './status/status.ts';
import { createOpenStream } from './streams/open-stream.ts';
import { createStreams } from './streams/streams.ts';

/** The most that one slow reader of a stream costs, in bytes. Enough for 5 MB/s from a host that is 50 ms away. */
const streamWindowBytes = 256 * 1024;
/** How long an answer waits for a late caller, in ms (docs/contract.md §2). */
const landedTtlMs = 30_000;
/** The most bytes of such answers, for dispatches and for builds each. */
const landedMaxBytes = 64 * 1024 * 1024;
/** How long after a timeout an answer is still expected, in ms. */
const overdueTtlMs = 300_000;
/** A stream without a Hello is dropped after this, in ms. */
const helloTimeoutMs = 10_000;

export interface PartsOptions {
  config: BrokerConfig;
  version: string;
  hangups: Hangups;
  log: Logger;
  /** Ends the background work of the parts. */
  signal: AbortSignal;
  /** Returns the listener for hosts, once it listens. */
  grpc(): GrpcListener | undefined;
}

export type BrokerParts = Awaited<ReturnType<typeof createParts>>;

/**
 * Creates the parts of a broker and connects them. None of them listens yet.
 *
 * @throws UnusableError naming the variable when a key, certificate or list cannot be used
 */
export async function createParts({ config, version, hangups, log, signal, grpc }: PartsOptions) {
  const unread = createUnreadFiles();
  const files = { unread, hangups, log, signal };
  const tls = await followListenerTls({ config, onChange: pair => grpc()?.useTls(pair), ...files });
  const metrics = createMetrics(version, config);
  const timeoutMs = config.dispatchTimeoutSecs * 1000;
  const peers = await joinPeers({ config, timeoutMs, record: metrics.forwarded, ...files });
  const { hosts, away } = createWatchedHosts(peers);
  const tokens = await keepHostTokens({ config, hosts, isShared: peers !== undefined, ...files });
  const { pendingMax } = config;
  const pending = createPending({ max: pendingMax, timeoutMs, landedTtlMs, overdueTtlMs, landedMaxBytes });
  const streams = createStreams({ pending, windowBytes: streamWindowBytes, timeoutMs });
  const builds = await loadBuilds({
    config,
    pending,
    hasPeers: peers !== undefined,
    log: log.child('builds'),
  });
  const counts = createHostCounts();
  const sources: Sources = {
    certificate: tls.life,
    awayHosts: away.list,
    hosts,
    counts,
    pending,
    pendingMax,
    streams,
    builds,
    connections: () => grpc()?.connections() ?? { open: 0, idle: 0 },
    peers: peers && (() => peers.stats()),
    problems: () => verdict.count(),
  };
  metrics.watch(sources);
  const unserved = createUnserved();
  const status = () =>
    readStatus({
      version,
      certificate: tls.life(),
      metrics,
      sources,
      unserved: unserved.list,
      unread: unread.list,
    });
  const verdict = keepVerdict({
    judge: async () => findProblems(await status(), new Date()),
    log: log.child('status'),
  });
  const verbs = readVerbs();
  const routes = compileRoutes(verbs);
  const locator = peers?.locator;
  const sendToBroker = locator && createSendToBroker({ pending, locator, timeoutMs });
  const record = recordDispatches(log.child('dispatch'), metrics.dispatched);
  const lane = createLane({
    operations: { metrics, status },
    dispatch: createDispatch({ hosts, pending, routes, record, sendToBroker }),
    dispatchBodyBytes: largestBody(routes),
    document: laneDocument(verbs.values(), version),
    openStream: createOpenStream({ hosts, streams, routes, locator }),
    streams,
    builds,
    hosts,
    locator,
    revocation: tokens.edits,
    log: log.child('lane'),
  });
  const handler = handleStream({
    hosts,
    pending,
    streams,
    builds,
    counts,
    verify: tokens.verify,
    log: log.child('grpc'),
    helloTimeoutMs,
  });
  return {
    tls,
    metrics,
    unserved,
    peers,
    hosts,
    tokens,
    pending,
    streams,
    builds,
    verdict,
    routes,
    verbs,
    lane,
    handler,
  };
}

/** Returns undefined for a broker that is alone, for which no code for other brokers is loaded. */
async function joinPeers({
  config,
  ...options
}: Omit<PeersOptions, 'settings'> & { config: BrokerConfig }): Promise<Peers | undefined> {
  const settings = readPeerSettings(config);
  if (settings === undefined) return undefined;
  const { createPeers } = await import('./peers/peers.ts');
  return createPeers({ settings, ...options });
}

/** Returns the table of hosts, and the memory of hosts that left. Other brokers are told of both. */
function createWatchedHosts(peers: Peers | undefined): { hosts: Hosts; away: AwayHosts } {
  const away = createAwayHosts(hostId => peers?.locator.locate(hostId).kind === 'other broker');
  const hosts = createHosts({
    added(stream) {
      away.added(stream);
      peers?.watch.added(stream);
    },
    removed(hostId) {
      away.removed(hostId);
      peers?.watch.removed(hostId);
    },
  });
  return { hosts, away };
}

interface LoadBuildsOptions {
  config: BrokerConfig;
  pending: Pending;
  hasPeers: boolean;
  log: Logger;
}

/** Returns the builds, with the state that an earlier broker on this machine left in files beside the socket. */
async function loadBuilds({ config, pending, hasPeers, log }: LoadBuildsOptions): Promise<Builds> {
  const { unixSocketPath, buildHostGraceSecs } = config;
  const { key, isKnown } = await loadBuildKey(`${unixSocketPath}.build-key`, log);
  const given = await loadGivenBuilds(`${unixSocketPath}.build-given`, log);
  return createBuilds({
    given,
    nonces: createNonces({ key, believesUnsigned: !isKnown || hasPeers }),
    pending,
    landedTtlMs,
    landedMaxBytes,
    now: () => performance.now(),
    hostGraceMs: buildHostGraceSecs * 1000,
  });
}
