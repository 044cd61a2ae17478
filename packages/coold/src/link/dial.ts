import { isIP } from 'node:net';
import { checkServerIdentity, type PeerCertificate } from 'node:tls';
import { create, toBinary } from '@bufbuild/protobuf';
import { agentStream, ClientMsgSchema, type Hello, type ServerMsg } from '@coold/proto';
import {
  type ChannelCredentials,
  type ChannelOptions,
  Client,
  type ClientDuplexStream,
  connectivityState,
  credentials,
  status as grpcStatus,
  Metadata,
  type StatusObject,
} from '@grpc/grpc-js';
import type { BrokerUrl } from './broker-url.ts';
import { type ReadCommand, readCommand } from './read-command.ts';
import { TrackedCredentials } from './tracked-credentials.ts';

/** HTTP/2 PINGs of our own, in ms (docs/contract.md §1: every 30 s, given up after 10 s). */
export interface Keepalive {
  everyMs: number;
  timeoutMs: number;
}

export interface DialOptions {
  url: BrokerUrl;
  token: string;
  /** PEM of the CA, for TLS only. undefined: the system's. */
  ca: string | undefined;
  hello: Hello;
  keepalive: Keepalive;
}

export interface SessionEvents {
  /** The broker accepted our Hello. */
  accepted(): void;
  /** Called with the `date` of an answer. undefined: the answer has none. */
  date(text: unknown): void;
  command(message: ServerMsg): void;
  /** Called for a command that means something else to the broker than it would here. */
  foreign(command: { requestId: string; field: number }): void;
}

const timePath = '/coolify.agent.v1.Agent/Time';
const askTimeMs = 10_000;
const raw = (bytes: Buffer) => bytes;
const dateIn = (head: Metadata | undefined): unknown => head?.get('date')[0];

/** One stream to the broker, on a connection of its own. The constructor dials and sends Hello; a failure shows as `ended`. */
export class Session {
  readonly #events: SessionEvents;
  readonly #credentials: TrackedCredentials;
  readonly #client: Client;
  readonly #call: ClientDuplexStream<Buffer, ReadCommand>;
  /** The broker accepted our Hello. */
  #accepted = false;
  /** We send no more frames. */
  #finished = false;
  /** The stream has its status. */
  #over = false;
  /** Why the dial was given up. */
  #abandoned: string | undefined;
  /** Each resolves a `send` whose frame the connection has not taken yet. */
  readonly #pendingWrites = new Set<() => void>();
  /** Resolves with how the stream ended, whichever side ended it. Never rejects. */
  readonly ended: Promise<{ accepted: boolean; status: StatusObject }>;

  constructor({ url, token, ca, hello, keepalive }: DialOptions, events: SessionEvents) {
    this.#events = events;
    const { channel, nameOptions } = channelCredentials(url, ca);
    this.#credentials = new TrackedCredentials(channel);
    this.#client = new Client(`dns:${url.authority}`, this.#credentials, {
      ...channelOptions(keepalive),
      ...nameOptions,
    });
    const metadata = new Metadata();
    metadata.set('authorization', `Bearer ${token}`);
    this.#call = this.#client.makeBidiStreamRequest(agentStream.path, raw, readCommand, metadata);
    this.ended = new Promise(resolve => {
      this.#call.once('status', (status: StatusObject) => resolve(this.#end(status)));
    });
    this.#call.on('error', () => {}); // the status says the same, and always comes
    this.#call.once('metadata', (head: Metadata) => {
      this.#accepted = true;
      events.date(dateIn(head));
      events.accepted();
    });
    this.#call.on('data', (read: ReadCommand) => {
      if (read.kind === 'command') events.command(read.message);
      else events.foreign(read);
    });
    const first = create(ClientMsgSchema, { payload: { case: 'hello', value: hello } });
    this.#call.write(Buffer.from(toBinary(ClientMsgSchema, first)));
  }

  /** Sends a frame. Resolves once the connection has taken it, or the stream is gone. Never rejects. */
  send(frame: Buffer): Promise<void> {
    return new Promise(resolve => {
      if (this.#over || this.#finished) return resolve();
      const release = () => {
        this.#pendingWrites.delete(release);
        resolve();
      };
      this.#pendingWrites.add(release);
      this.#call.write(frame, release);
    });
  }

  /** Ends our side of the stream: no more frames are sent. */
  finish(): void {
    this.#finished = true;
    this.#call.end();
  }

  /** Cancels the stream. */
  cancel(): void {
    this.#call.cancel();
  }

  /** Asks for the broker's time, which is passed to `date`. */
  askTime(): void {
    if (this.#over) return;
    const deadline = Date.now() + askTimeMs;
    const none = Buffer.alloc(0);
    // There is no such method: the refusal carries the time, costs the broker nothing and needs no token.
    this.#client.makeUnaryRequest(timePath, raw, raw, none, new Metadata(), { deadline }, error => {
      if (error !== null) this.#events.date(dateIn(error.metadata));
    });
  }

  /** Abandons the dial: the stream ends as unavailable, with this reason. Does nothing once there is a connection. */
  abandon(why: string): void {
    if (this.#over || this.#isConnected()) return;
    this.#abandoned = why;
    this.#call.cancel();
  }

  #isConnected(): boolean {
    return this.#client.getChannel().getConnectivityState(false) === connectivityState.READY;
  }

  #end(status: StatusObject): { accepted: boolean; status: StatusObject } {
    this.#over = true;
    for (const release of this.#pendingWrites) release();
    // A refusal has no other headers.
    if (!this.#accepted) this.#events.date(dateIn(status.metadata));
    if (!this.#isConnected()) this.#credentials.cut();
    this.#client.close();
    const details = this.#abandoned;
    return {
      accepted: this.#accepted,
      status: details === undefined ? status : { ...status, code: grpcStatus.UNAVAILABLE, details },
    };
  }
}

function channelOptions({ everyMs, timeoutMs }: Keepalive): ChannelOptions {
  return {
    'grpc.keepalive_time_ms': everyMs,
    'grpc.keepalive_timeout_ms': timeoutMs,
    // A retry buffer would keep every frame of a stream that lives for months.
    'grpc.enable_retries': 0,
    // The backoff is ours: a shared subchannel would add its own to it.
    'grpc.use_local_subchannel_pool': 1,
    'grpc.service_config_disable_resolution': 1,
    'grpc.enable_channelz': 0,
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
