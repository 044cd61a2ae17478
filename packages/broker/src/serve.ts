import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { readVerbs } from '@coold/proto';
import {
  followFiles,
  type Hangups,
  type Logger,
  type PlacedSocket,
  placeSocket,
  type Readiness,
  readTlsPair,
  SocketError,
  type Task,
  type TlsPair,
} from '@coold/runtime';
import { handleStream } from './agent-service.ts';
import { createVerifier, type VerifierOptions } from './auth.ts';
import { loadBuildKey } from './build-key.ts';
import { createNonces } from './build-nonce.ts';
import { createBuilds } from './builds.ts';
import type { BrokerConfig } from './config.ts';
import { createDispatch } from './dispatch.ts';
import { endInvalidStreams } from './end-invalid.ts';
import { type GrpcListener, listenGrpc } from './grpc.ts';
import { createHostCounts } from './host-counts.ts';
import { createHosts } from './hosts.ts';
import { createLane } from './lane.ts';
import { createMetrics } from './metrics.ts';
import { createOpenStream } from './open-stream.ts';
import { createPark } from './park.ts';
import { createParkAway } from './park-away.ts';
import { readPeerSettings } from './peers/peer-options.ts';
import type { PeersOptions } from './peers/peers.ts';
import { createPending } from './pending.ts';
import { recordDispatches } from './record-dispatches.ts';
import { keepRevocation } from './revocation.ts';
import { compileRoutes, largestBody } from './router.ts';
import { hintShutdown } from './shutdown-hint.ts';
import { readStatus } from './status.ts';
import { createStreams } from './streams.ts';

/** How long parked dispatches may still be answered once the broker stops, in ms. */
const drainMs = 3000;
/** How long their replies may then take to be written, in ms. */
const repliesMs = 1000;
/** What one slow reader of a stream costs at the most; enough for 5 MB/s to a host that is 50 ms away. */
const streamWindowBytes = 256 * 1024;
/** How many ms an answer waits for a late caller (docs/contract.md §2). */
const landedTtlMs = 30_000;
/** Bytes of such answers, for each lane. */
const landedMaxBytes = 64 * 1024 * 1024;
/** How often builds are looked through for what the clock has ended. */
const buildTickMs = 1000;
/** How often the socket is looked for: without its name nobody finds it. */
const socketCheckMs = 5000;
/** How often live streams are looked through for tokens that have expired, in ms. */
const expiryCheckMs = 1000;

export interface ServeOptions {
  config: BrokerConfig;
  version: string;
  log: Logger;
  readiness: Readiness;
  hangups: Hangups;
}

/**
 * The broker's one task: both listeners up, ready, and on the signal an orderly way down: no new work, streamed
 * commands told why they end, parked dispatches answered or failed, then the hosts.
 *
 * @throws Error when a key, certificate, address or socket cannot be used
 */
export function serveBroker({ config, version, log, readiness, hangups }: ServeOptions): Task {
  return async signal => {
    // Its default would end the process.
    hangups.on('SIGHUP', () => log.info('SIGHUP: files that may have changed are read again'));
    const done = new AbortController();
    let grpc: GrpcListener | undefined;
    const pair = tlsFiles(config);
    let tls =
      pair &&
      (await followFiles({
        what: 'certificate of the gRPC listener',
        paths: Object.values(pair),
        read: () => loadTls(pair),
        use(next) {
          tls = next;
          grpc?.useTls(next);
        },
        ...{ hangups, log, signal: done.signal },
      }));
    const metrics = createMetrics(version);
    const peers = await joinPeers({ config, record: metrics.forwarded, hangups, log, signal: done.signal });
    const hosts = createHosts(peers?.watch);
    const counts = createHostCounts();
    const { isRevoked } = await keepRevocation({
      path: config.revokedFile,
      onChange: () => checkTokens(),
      ...{ hangups, log, signal: done.signal },
    });
    const checkTokens = () => endInvalidStreams({ hosts, isRevoked, log });
    const verify = await loadVerifier(config.jwtPublicKeyPath, { isRevoked });
    const timeoutMs = config.dispatchTimeoutSecs * 1000;
    const pending = createPending({
      max: config.pendingMax,
      timeoutMs,
      landedTtlMs,
      overdueTtlMs: 300_000,
      landedMaxBytes,
    });
    const streams = createStreams({ pending, windowBytes: streamWindowBytes, timeoutMs });
    const { key, isKnown } = await loadBuildKey(`${config.unixSocketPath}.build-key`, log.child('builds'));
    const builds = createBuilds({
      ...{ pending, landedTtlMs, landedMaxBytes },
      nonces: createNonces({ key, believesUnsigned: !isKnown || peers !== undefined }),
      now: () => performance.now(),
      hostGraceMs: config.buildHostGraceSecs * 1000,
    });
    const buildTicks = setInterval(builds.tick, buildTickMs);
    const handler = handleStream({
      ...{ verify, hosts, pending, streams, builds, counts },
      log: log.child('grpc'),
      helloTimeoutMs: 10_000,
    });
    const routes = compileRoutes(readVerbs());
    const sources = {
      ...{ hosts, counts, pending, streams, builds, pendingMax: config.pendingMax },
      connections: () => grpc?.connections() ?? { open: 0, idle: 0 },
      peers: peers?.stats,
    };
    metrics.watch(sources);
    const certificateEnds = () => tls && new X509Certificate(tls.cert).validToDate;
    const elsewhere = peers?.elsewhere;
    const parkAway = elsewhere && createParkAway({ pending, elsewhere, timeoutMs });
    const record = recordDispatches(log.child('dispatch'), metrics);
    const lane = createLane({
      operations: {
        metrics,
        status: () => readStatus({ version, certificateEnds: certificateEnds(), metrics, sources }),
      },
      dispatch: createDispatch({ hosts, pending, routes, record, parkAway }),
      dispatchBodyBytes: largestBody(routes),
      openStream: createOpenStream({ hosts, streams, routes, elsewhere }),
      streams,
      builds,
      hosts,
      elsewhere,
      log: log.child('lane'),
    });
    const expiry = setInterval(checkTokens, expiryCheckMs);
    let socket: PlacedSocket | undefined;
    try {
      grpc = await listenGrpc({
        bind: config.grpcBind,
        tls,
        handler,
        keepalive: { everyMs: 30_000, timeoutMs: 10_000 },
        log: log.child('grpc'),
      });
      log.info({ address: grpc.address, tls: tls !== undefined }, 'listening for coolds');
      const among = await peers?.serve({
        park: createPark({ hosts, pending }),
        ...{ hosts, streams },
        verbs: readVerbs(),
        maxCalls: config.pendingMax,
        maxRequestBytes: largestBody(routes),
      });
      socket = await placeSocket({
        path: config.unixSocketPath,
        group:
          config.unixSocketGroup === undefined
            ? undefined
            : { name: config.unixSocketGroup, from: 'BROKER_UNIX_SOCKET_GROUP' },
        listen: path => lane.listen(path),
      });
      log.info({ path: config.unixSocketPath }, 'listening for Laravel');
      await readiness.ready('serving');
      await Promise.race([
        untilStopped(signal, socket),
        ...(among === undefined ? [] : [failing(among.running)]),
      ]);
      void readiness.stopping();
      const left = peers?.leave(drainMs);
      grpc.refuseNew();
      await socket.remove();
      streams.stop();
      builds.stop();
      const drained = pending.drain(drainMs);
      // After the last command: who has answered it may go.
      hintShutdown(hosts);
      await drained;
      await Promise.all([lane.stop(repliesMs), left, peers?.close(repliesMs)]);
      for (const stream of hosts.list()) stream.close('stopping');
    } finally {
      done.abort();
      clearInterval(expiry);
      clearInterval(buildTicks);
      await socket?.remove();
      await lane.stop(0);
      grpc?.close();
      await peers?.close(0);
    }
  };
}

/** Loaded only where there are others: a broker that is alone has nothing of it in memory. */
async function joinPeers({ config, ...options }: Omit<PeersOptions, 'settings'> & { config: BrokerConfig }) {
  const settings = readPeerSettings(config);
  if (settings === undefined) return undefined;
  const { createPeers } = await import('./peers/peers.ts');
  return createPeers({ settings, ...options });
}

/** Never resolves; rejects as the promise does. */
async function failing(running: Promise<void>): Promise<never> {
  await running;
  return new Promise(() => {});
}

/** Resolves on the signal. @throws SocketError when the socket has lost its name: systemd starts us anew, with one */
async function untilStopped(signal: AbortSignal, socket: PlacedSocket): Promise<void> {
  while (!signal.aborted) {
    await delay(socketCheckMs, undefined, { signal }).catch(() => {});
    if (!signal.aborted && !(await socket.isThere()))
      throw new SocketError(
        `${socket.path} is gone, or another took its place: nobody can reach this broker`,
      );
  }
}

async function loadVerifier(path: string, options: VerifierOptions) {
  try {
    return createVerifier(await readFile(path, 'utf8'), options);
  } catch (error) {
    throw new Error(`BROKER_JWT_PUBLIC_KEY_PATH=${path}: ${(error as Error).message}`, { cause: error });
  }
}

function tlsFiles({ tlsCert, tlsKey }: BrokerConfig): { cert: string; key: string } | undefined {
  return tlsCert === undefined || tlsKey === undefined ? undefined : { cert: tlsCert, key: tlsKey };
}

async function loadTls(files: { cert: string; key: string }): Promise<TlsPair> {
  try {
    return await readTlsPair(files);
  } catch (error) {
    throw new Error(`BROKER_TLS_CERT and BROKER_TLS_KEY: ${(error as Error).message}`, { cause: error });
  }
}
