// A schema-1 broker of another implementation: written from docs/contract.md §1 with third-party libraries.
import { Metadata, Server, ServerCredentials, type ServerDuplexStream, status } from '@grpc/grpc-js';
import { decode, encode, type Message, streamPath } from './schema.ts';

/** A host's stream, from its Hello on. */
export interface PeerStream {
  hello: Message;
  /** The metadata `authorization`. */
  authorization: string;
  /** Every Response of the host, oldest first. */
  responses: Message[];
  /** Sends a command, one of the members of ServerMsg's oneof. */
  command(requestId: string, command: Message): void;
  /** Sends a frame with any content. */
  sendRaw(frame: Uint8Array): void;
  /** Ends the stream like a broker that has a newer one of the same host. */
  replace(): void;
  /** Resolves when the stream is closed by either side. */
  closed: Promise<void>;
}

export interface PeerBroker extends AsyncDisposable {
  port: number;
  /** Every stream that sent Hello, oldest first. */
  streams: PeerStream[];
}

export interface PeerBrokerOptions {
  /** Sends the response headers with the first command, as gRPC servers do by default. */
  lateHeaders?: boolean;
  /** The interval of its own HTTP/2 PINGs, in ms. */
  pingEveryMs?: number;
}

type Call = ServerDuplexStream<Message, Buffer>;
/** The time limit of docs/contract.md §1 for both sides, in ms. */
const pingTimeoutMs = 10_000;

/** Starts the broker on a free port of 127.0.0.1. */
export async function startPeerBroker(options: PeerBrokerOptions = {}): Promise<PeerBroker> {
  const { lateHeaders = false, pingEveryMs = 30_000 } = options;
  const server = new Server({
    'grpc.keepalive_time_ms': pingEveryMs,
    'grpc.keepalive_timeout_ms': pingTimeoutMs,
  });
  const streams: PeerStream[] = [];
  const method = {
    path: streamPath,
    requestStream: true,
    responseStream: true,
    requestSerialize: (message: Message) => encode('ClientMsg', message),
    requestDeserialize: (bytes: Buffer) => decode('ClientMsg', bytes),
    responseSerialize: (frame: Buffer) => frame,
    responseDeserialize: (bytes: Buffer) => bytes,
  } as const;
  server.addService(
    { stream: method },
    {
      stream(call: Call) {
        let stream: PeerStream | undefined;
        call.on('error', () => {}); // the host died
        call.on('end', () => call.end());
        call.on('data', (message: Message) => {
          const { hello, response } = message;
          if (isMessage(response)) stream?.responses.push(response);
          if (!isMessage(hello) || stream !== undefined) return;
          if (!lateHeaders) call.sendMetadata(new Metadata());
          stream = openStream(call, hello);
          streams.push(stream);
        });
      },
    },
  );
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    ),
  );
  return {
    port,
    streams,
    async [Symbol.asyncDispose]() {
      server.forceShutdown();
    },
  };
}

function openStream(call: Call, hello: Message): PeerStream {
  const closed = Promise.withResolvers<void>();
  call.once('close', () => closed.resolve());
  call.once('cancelled', () => closed.resolve());
  return {
    hello,
    authorization: String(call.metadata.get('authorization')[0]),
    responses: [],
    command: (requestId, command) =>
      void call.write(encode('ServerMsg', { request_id: requestId, ...command })),
    sendRaw: frame => void call.write(Buffer.from(frame)),
    replace: () => call.emit('error', { code: status.ABORTED, details: 'replaced' }),
    closed: closed.promise,
  };
}

function isMessage(value: unknown): value is Message {
  return typeof value === 'object' && value !== null;
}
