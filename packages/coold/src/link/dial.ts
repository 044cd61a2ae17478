import { isIP } from 'node:net';
import { checkServerIdentity, type PeerCertificate } from 'node:tls';
import { create, toBinary } from '@bufbuild/protobuf';
import { agentStream, ClientMsgSchema, type Hello, type ServerMsg } from '@coold/proto';
import {
  type ChannelCredentials,
  type ChannelOptions,
  Client,
  type ClientDuplexStream,
  credentials,
  Metadata,
  type StatusObject,
} from '@grpc/grpc-js';
import type { BrokerUrl } from './broker-url.ts';

/** HTTP/2 PINGs of our own, in ms (docs/contract.md §1: every 30 s, given up after 10 s). */
export interface Keepalive {
  everyMs: number;
  timeoutMs: number;
}

export interface DialOptions {
  url: BrokerUrl;
  token: string;
  /** PEM; undefined: the system's. Only for TLS. */
  ca: string | undefined;
  hello: Hello;
  keepalive: Keepalive;
}

/** One stream to the broker, from its Hello on. */
export interface Session {
  /** Sends a frame; resolves once the connection took it, or the stream is gone. */
  send(frame: Buffer): Promise<void>;
  /** How it ended, whoever ended it; never rejects. */
  ended: Promise<{ accepted: boolean; status: StatusObject }>;
  /** Says goodbye: no more frames from us. */
  finish(): void;
  /** Cuts it. */
  cancel(): void;
}

export interface SessionEvents {
  /** The broker took our Hello. */
  accepted(): void;
  command(message: ServerMsg): void;
}

/** Opens a connection of its own, with the stream on it and Hello sent. Failures show as `ended`. */
export function dial({ url, token, ca, hello, keepalive }: DialOptions, events: SessionEvents): Session {
  const options: ChannelOptions = {
    'grpc.keepalive_time_ms': keepalive.everyMs,
    'grpc.keepalive_timeout_ms': keepalive.timeoutMs,
    // A retry buffer would keep every frame of a stream that lives for months.
    'grpc.enable_retries': 0,
    // The backoff is ours: a shared subchannel would add its own to it.
    'grpc.use_local_subchannel_pool': 1,
    'grpc.service_config_disable_resolution': 1,
    'grpc.enable_channelz': 0,
  };
  const { channel, nameOptions } = channelCredentials(url, ca);
  const client = new Client(`dns:${url.authority}`, channel, { ...options, ...nameOptions });
  const metadata = new Metadata();
  metadata.set('authorization', `Bearer ${token}`);
  const call: ClientDuplexStream<Buffer, ServerMsg> = client.makeBidiStreamRequest(
    agentStream.path,
    (frame: Buffer) => frame,
    agentStream.responseDeserialize,
    metadata,
  );
  let accepted = false;
  let over = false;
  let finished = false;
  const pendingWrites = new Set<() => void>();
  const ended = new Promise<{ accepted: boolean; status: StatusObject }>(resolve => {
    call.once('metadata', () => {
      accepted = true;
      events.accepted();
    });
    call.on('data', (message: ServerMsg) => events.command(message));
    call.on('error', () => {}); // the status says the same, and always comes
    call.once('status', (status: StatusObject) => {
      over = true;
      for (const release of pendingWrites) release();
      client.close();
      resolve({ accepted, status });
    });
  });
  call.write(
    Buffer.from(
      toBinary(ClientMsgSchema, create(ClientMsgSchema, { payload: { case: 'hello', value: hello } })),
    ),
  );
  return {
    ended,
    send: frame =>
      new Promise(resolve => {
        if (over || finished) return resolve();
        const release = () => {
          pendingWrites.delete(release);
          resolve();
        };
        pendingWrites.add(release);
        call.write(frame, release);
      }),
    finish() {
      finished = true;
      call.end();
    },
    cancel: () => call.cancel(),
  };
}

function channelCredentials(
  { host, tls }: BrokerUrl,
  ca: string | undefined,
): { channel: ChannelCredentials; nameOptions: ChannelOptions } {
  if (!tls) return { channel: credentials.createInsecure(), nameOptions: {} };
  const roots = ca === undefined ? null : Buffer.from(ca);
  if (isIP(host) === 0) return { channel: credentials.createSsl(roots), nameOptions: {} };
  // TLS has no server name for an address and Node refuses to send one; the certificate must still be for the address.
  const verify = {
    checkServerIdentity: (_name: string, certificate: PeerCertificate) =>
      checkServerIdentity(host, certificate),
  };
  return {
    channel: credentials.createSsl(roots, null, null, verify),
    nameOptions: { 'grpc.ssl_target_name_override': 'broker' },
  };
}
