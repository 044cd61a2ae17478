// The lane between brokers, its two ends in one process, with real certificates.
import { createSecureServer, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { create } from '@bufbuild/protobuf';
import { ResponseSchema, readVerbs, type ServerMsg, ServerMsgSchema } from '@coold/proto';
import { createAuthority, scratchFolder } from '@coold/testbed';
import { testLog } from '@coold/testbed/corrosion';
import { createBuildCalls } from '../src/builds/build-calls.ts';
import { listHost } from '../src/builds/host-listing.ts';
import { createPending } from '../src/dispatch/pending.ts';
import { createSendToHost } from '../src/dispatch/send-to-host.ts';
import { frameMessage } from '../src/grpc/message-reader.ts';
import type { HostStream } from '../src/hosts/hosts.ts';
import { createHosts } from '../src/hosts/hosts.ts';
import { serveBuild } from '../src/peers/builds/serve-build.ts';
import { serveHosts } from '../src/peers/fleet/serve-hosts.ts';
import { createForward, type ForwardOutcome } from '../src/peers/forward/forward.ts';
import { serveForward } from '../src/peers/forward/serve-forward.ts';
import { serveStream } from '../src/peers/forward/serve-stream.ts';
import type { Credentials } from '../src/peers/link/credentials.ts';
import { createPeerLink, type PeerLinkOptions } from '../src/peers/link/peer-link.ts';
import { listenForPeers } from '../src/peers/link/peer-listener.ts';
import { createSenderCheck } from '../src/peers/link/peer-sender.ts';
import { createStreams } from '../src/streams/streams.ts';
import { newBuilds } from './builds.ts';

/** A host named h, of schema 2, that takes everything and answers nothing by itself. */
export function oneHost() {
  const hosts = createHosts();
  const sent: ServerMsg[] = [];
  const host = {
    hostId: 'h',
    schemaMax: 2,
    send: (message: ServerMsg) => sent.push(message) > 0,
    sendOwed: (message: ServerMsg) => void sent.push(message),
  } as unknown as HostStream;
  hosts.add(host);
  return { hosts, host, sent };
}

export const never = new AbortController().signal;
const command = (requestId: string): ServerMsg =>
  create(ServerMsgSchema, { requestId, command: { case: 'listContainers', value: {} } });
export const answered = (requestId: string) =>
  create(ResponseSchema, { requestId, body: { case: 'listContainers', value: { containers: [] } } });

export const seldom = { everyMs: 30_000, timeoutMs: 30_000 };

/** Certificates of one CA, one that has ended among them, and of a stranger; and both ends of lanes that use them. */
export async function openLanes() {
  const stack = new AsyncDisposableStack();
  const folder = stack.use(await scratchFolder());
  const authority = await createAuthority(folder.path);
  const stranger = await createAuthority(folder.path, 'stranger');
  const issued = await Promise.all([
    authority.issue('b1'),
    authority.issue('b2'),
    authority.issue('old', { days: -1 }),
  ]);
  const [b1, b2, ended] = issued.map(({ credentials }) => credentials) as [
    Credentials,
    Credentials,
    Credentials,
  ];
  const ours = { b1, b2, ended };
  const strangers = (await stranger.issue('s')).credentials;

  /** Broker b2 with host h, whose answers a test decides. */
  async function startB2({
    max = 100,
    timeoutMs = 5000,
    credentials = ours.b2,
    keepalive = seldom,
    addresses = {} as Record<string, string>,
  } = {}) {
    const { hosts, host, sent } = oneHost();
    const pending = createPending({
      max,
      timeoutMs,
      landedTtlMs: 30_000,
      overdueTtlMs: 60_000,
      landedMaxBytes: 1 << 20,
    });
    const taken: string[] = [];
    const log = testLog();
    const warned: unknown[][] = [];
    log.warn = (...line: unknown[]) => void warned.push(line);
    const checkSender = createSenderCheck({ ids: () => ['b1', 'b2', 'b3'], addressOf: id => addresses[id] });
    const taking = {
      brokerId: 'b2',
      checkSender,
      verbs: readVerbs(),
      log,
      count: (outcome: string) => void taken.push(outcome),
    };
    const forward = serveForward({ ...taking, sendDispatch: createSendToHost({ hosts, pending }) });
    const streams = createStreams({ pending, windowBytes: 1024, timeoutMs });
    const stream = serveStream({ ...taking, hosts, streams });
    const builds = newBuilds(pending);
    const calls = createBuildCalls({ builds, hosts, log });
    const handlers = {
      forward,
      stream,
      build: serveBuild({ ...taking, calls, builds, hosts }),
      revocations: undefined,
      hosts: serveHosts({ ...taking, list: () => hosts.list().map(one => listHost(one, 0)) }),
    };
    const bind = { host: '127.0.0.1', port: 0 };
    const limits = { maxCalls: 1000, maxRequestBytes: 1 << 20, keepalive };
    const listener = await listenForPeers({ bind, credentials, handlers, ...limits, log });
    const answer = (requestId: string) => pending.answer(host, answered(requestId), 10);
    return {
      hosts,
      host,
      pending,
      sent,
      taken,
      listener,
      answer,
      warned,
      [Symbol.dispose]: () => listener.close(),
    };
  }

  /** Broker b1, as it asks. */
  function startB1(address: string, options: Partial<PeerLinkOptions> & { brokerId?: string } = {}) {
    const outcomes: ForwardOutcome[] = [];
    const link = createPeerLink({
      brokerId: 'b2',
      address,
      credentials: () => ours.b1,
      connectTimeoutMs: 5000,
      log: testLog(),
      backoff: { firstMs: 1, maxMs: 5 },
      ...options,
    });
    const forward = createForward({
      brokerId: options.brokerId ?? 'b1',
      links: { to: () => link },
      record: ({ outcome }) => void outcomes.push(outcome),
    });
    const ask = (requestId: string, { to = 'b2', hostId = 'h', timeoutMs = 5000, signal = never } = {}) =>
      forward({ hostId, brokerId: to, address, connectedAt: 1 }, command(requestId), timeoutMs, signal);
    return { link, outcomes, ask, [Symbol.dispose]: () => link.close() };
  }

  /** A peer that answers as no broker does: a fake, for a real one cannot be made to. */
  async function startFakePeer(reply: (stream: ServerHttp2Stream) => void) {
    const server = createSecureServer({ ...ours.b2, requestCert: true });
    const sessions = new Set<{ destroy(): void }>();
    server.on('session', session => sessions.add(session));
    server.on('stream', (stream: ServerHttp2Stream) => {
      stream.on('error', () => {});
      stream.resume();
      reply(stream);
    });
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
    return {
      address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
      [Symbol.dispose]() {
        server.close();
        for (const session of sessions) session.destroy();
      },
    };
  }

  return {
    ours,
    strangers,
    startB2,
    startB1,
    startFakePeer,
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

export function replyWith(stream: ServerHttp2Stream, ...messages: Uint8Array[]) {
  stream.respond({ ':status': 200, 'content-type': 'application/grpc+proto' }, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
  for (const message of messages) stream.write(frameMessage(message));
  stream.end();
}
