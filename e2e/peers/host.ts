// A schema-1 host of another implementation: written from docs/contract.md §1 with third-party libraries.
import { Client, credentials, Metadata, type StatusObject } from '@grpc/grpc-js';
import { decode, encode, type Message, streamPath } from './schema.ts';

export interface PeerHostOptions {
  /** `host:port` of a broker. */
  address: string;
  token: string;
  /** Fields that replace those of the usual Hello. */
  hello?: Message;
  /** The interval of its own HTTP/2 PINGs, in ms. */
  pingEveryMs?: number;
}

export interface PeerHost {
  /** Every command that it received, oldest first. */
  commands: Message[];
  /** Resolves when the broker has accepted its Hello. */
  accepted: Promise<void>;
  /** The status with which its stream ended; never rejects. */
  ended: Promise<StatusObject>;
  /** Answers a command with one of the bodies of Response. */
  respond(requestId: string, body: Message): void;
  /** Sends a frame with any content. */
  sendRaw(frame: Uint8Array): void;
  /** Half-closes the stream, like a host that shuts down in order. */
  finish(): void;
  /** Resets the stream, like a host that dies. */
  cut(): void;
}

const usualHello = {
  host_mgmt_ip: '100.64.0.7',
  coold_version: '0.0.1-peer',
  schema_min: 1,
  schema_max: 1,
  capabilities: ['coold'],
  builder_capacity: 0,
};
/** The time limit of docs/contract.md §1 for both sides, in ms. */
const pingTimeoutMs = 10_000;

export function connectPeerHost({ address, token, hello, pingEveryMs }: PeerHostOptions): PeerHost {
  const client = new Client(address, credentials.createInsecure(), {
    'grpc.use_local_subchannel_pool': 1,
    'grpc.keepalive_time_ms': pingEveryMs ?? 30_000,
    'grpc.keepalive_timeout_ms': pingTimeoutMs,
  });
  const metadata = new Metadata();
  metadata.set('authorization', `Bearer ${token}`);
  const call = client.makeBidiStreamRequest(
    streamPath,
    (frame: Buffer) => frame,
    bytes => decode('ServerMsg', bytes),
    metadata,
  );
  const commands: Message[] = [];
  const accepted = Promise.withResolvers<void>();
  accepted.promise.catch(() => {}); // for tests that only use `ended`
  const ended = Promise.withResolvers<StatusObject>();
  call.once('metadata', () => accepted.resolve());
  call.on('data', (message: Message) => void commands.push(message));
  call.on('error', () => {}); // the status event reports the same
  call.once('status', (status: StatusObject) => {
    accepted.reject(new Error(`stream ended: ${status.details}`));
    ended.resolve(status);
    client.close();
  });
  const send = (message: Message) => void call.write(encode('ClientMsg', message));
  send({ hello: { ...usualHello, ...hello } });
  return {
    commands,
    accepted: accepted.promise,
    ended: ended.promise,
    respond: (requestId, body) => send({ response: { request_id: requestId, ...body } }),
    sendRaw: frame => void call.write(Buffer.from(frame)),
    finish: () => call.end(),
    cut: () => call.cancel(),
  };
}
