// The lane between brokers, its two ends in one process, with real certificates.
import { createSecureServer, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { create } from '@bufbuild/protobuf';
import { testLog } from '@coold/corrosion/testing';
import { ResponseSchema, readVerbs, type ServerMsg, ServerMsgSchema } from '@coold/proto';
import { createAuthority, scratchFolder } from '@coold/testbed';
import type { HostStream } from '../hosts.ts';
import { createHosts } from '../hosts.ts';
import { frameMessage } from '../message-reader.ts';
import { createPark } from '../park.ts';
import { createPending } from '../pending.ts';
import { createStreams } from '../streams.ts';
import type { Credentials } from './credentials.ts';
import { createForward, type ForwardOutcome } from './forward.ts';
import { createPeerLink, type PeerLinkOptions } from './peer-link.ts';
import { listenForPeers } from './peer-listener.ts';
import { relayStreamed } from './relay-streamed.ts';
import { takeForwarded } from './take-forwarded.ts';

/** A host named h, of schema 2, that takes everything and answers nothing by itself. */
export function oneHost() {
  const hosts = createHosts();
  const sent: ServerMsg[] = [];
  const host = {
    ...{ hostId: 'h', schemaMax: 2 },
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
  async function startB2({ max = 100, timeoutMs = 5000, credentials = ours.b2, keepalive = seldom } = {}) {
    const { hosts, host, sent } = oneHost();
    const pending = createPending({
      max,
      timeoutMs,
      landedTtlMs: 30_000,
      overdueTtlMs: 60_000,
      landedMaxBytes: 1 << 20,
    });
    const taken: string[] = [];
    const taking = {
      ...{ brokerId: 'b2', verbs: readVerbs(), log: testLog() },
      count: (outcome: string) => void taken.push(outcome),
    };
    const take = takeForwarded({ ...taking, park: createPark({ hosts, pending }) });
    const streams = createStreams({ pending, windowBytes: 1024, timeoutMs });
    const relay = relayStreamed({ ...taking, hosts, streams });
    const bind = { host: '127.0.0.1', port: 0 };
    const limits = { maxCalls: 1000, maxRequestBytes: 1 << 20, keepalive };
    const listener = await listenForPeers({ bind, credentials, take, relay, ...limits, log: testLog() });
    const answer = (requestId: string) => pending.answer(host, answered(requestId), 10);
    return { hosts, host, pending, sent, taken, listener, answer, [Symbol.dispose]: () => listener.close() };
  }

  /** Broker b1, as it asks. */
  function startB1(address: string, options: Partial<PeerLinkOptions> & { brokerId?: string } = {}) {
    const outcomes: ForwardOutcome[] = [];
    const link = createPeerLink({
      ...{ brokerId: 'b2', address, credentials: () => ours.b1, connectTimeoutMs: 5000, log: testLog() },
      ...{ backoff: { firstMs: 1, maxMs: 5 } },
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
    ...{ ours, strangers, startB2, startB1, startFakePeer },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

export function replyWith(stream: ServerHttp2Stream, ...messages: Uint8Array[]) {
  stream.respond({ ':status': 200, 'content-type': 'application/grpc+proto' }, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
  for (const message of messages) stream.write(frameMessage(message));
  stream.end();
}
