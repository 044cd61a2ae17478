import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { type GrpcStatus, grpcMessage, grpcStatus } from './grpc-status.ts';
import { createMessageReader, frameMessage, type MessageReader } from './message-reader.ts';

/** One call of Agent.Stream, as the broker sees it. */
export interface AgentCall {
  /** `address:port` of the other end. */
  readonly peer: string;
  /** Returns the header, if there is one, and forgets it: it would take a third of a kilobyte per host. */
  takeAuthorization(): string | undefined;
  /** Whether either side has ended it. */
  readonly over: boolean;
  /** Tells the host that it is connected. Until then its dial has not succeeded, and its messages have a small limit. */
  accept(): void;
  /** Queues a message. Calls `taken` once the connection took it or failed, unless the call is over. */
  write(message: Uint8Array, taken: (error?: Error | null) => void): void;
  /** Ends the call with a status. The first end counts. */
  end(code: GrpcStatus, details: string): void;
}

/** Events of a call. Nothing follows `closed`. */
export interface CallEvents {
  message(bytes: Buffer): void;
  /** The host has ended its side. */
  finished(): void;
  /** The call is over, whichever side ended it. */
  closed(): void;
}

/** Accepts a call. The returned object receives its events. */
export type CallHandler = (call: AgentCall) => CallEvents;

/** What a connection learns of its calls. */
export interface CallPlace {
  /** A host's stream uses the connection from now on. */
  admitted(): void;
  /** The host's stream has ended. */
  left(): void;
}

/** A longer message is not buffered to find out whose answer it was, and ends its stream: no coold sends one. */
const maxMessageBytes = 64 * 1024 * 1024;
/**
 * The limit before the host is accepted, for a Hello, which names the host's builds. There are at most some 2,300, with
 * ids of up to 128 characters. Refusing such a Hello would keep its host away until their results are a day old.
 */
const maxHelloBytes = 512 * 1024;

const responseHead = { ':status': 200, 'content-type': 'application/grpc+proto' } as const;
const ignore = () => {};

/** Serves one HTTP/2 stream as a gRPC call. @param maxBytes of a message, once the call was accepted */
export function openCall(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  place: CallPlace,
  handle: CallHandler,
  maxBytes = maxMessageBytes,
): AgentCall {
  /** Dropped at the end: a partial message may be large, and its sender need never close its side. */
  let reader: MessageReader | undefined = createMessageReader();
  const socket = stream.session?.socket;
  let { authorization } = headers;
  let accepted = false;
  let over = false;
  let events: CallEvents | undefined;
  /** Called once, whichever side ended the call. */
  const close = () => {
    if (over) return;
    over = true;
    reader = undefined;
    if (accepted) place.left();
    events?.closed();
  };
  const limit = () => (accepted ? maxBytes : maxHelloBytes);

  const call: AgentCall = {
    peer: `${socket?.remoteAddress ?? 'unknown'}:${socket?.remotePort ?? 0}`,
    takeAuthorization() {
      const taken = authorization;
      authorization = undefined;
      return taken;
    },
    get over() {
      return over;
    },
    accept() {
      if (over || stream.destroyed || stream.closed || stream.headersSent) return;
      accepted = true;
      place.admitted();
      stream.respond(
        { ...responseHead, 'grpc-accept-encoding': 'identity', 'grpc-encoding': 'identity' },
        { waitForTrailers: true },
      );
    },
    write(message, taken) {
      if (over || stream.destroyed) return;
      if (!stream.headersSent) throw new Error('a message before the call was accepted');
      stream.write(frameMessage(message), taken);
    },
    end(code, details) {
      if (over) return;
      close();
      if (stream.destroyed || stream.closed) return;
      const trailers = { 'grpc-status': String(code), 'grpc-message': grpcMessage(details) };
      if (!stream.headersSent) {
        stream.respond({ ...responseHead, ...trailers }, { endStream: true });
        return;
      }
      stream.once('wantTrailers', () => {
        if (!stream.destroyed) stream.sendTrailers(trailers);
      });
      stream.end();
    },
  };

  // The status or `closed` reports it; the rest are connections that broke.
  stream.on('error', ignore);
  const told = handle(call);
  events = told;
  if (call.over) told.closed();
  const onMessage = (message: Buffer) => {
    if (!over) told.message(message);
  };
  stream.on('data', (chunk: Buffer) => {
    const refused = reader?.read(chunk, limit, onMessage);
    if (refused !== undefined) call.end(refused.code, refused.details);
  });
  stream.once('end', () => {
    if (!over) told.finished();
  });
  stream.once('close', close);
  return call;
}

/** Answers a request that is not a call of ours, and returns whether it was one. */
export function refuseForeign(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  path: string,
): boolean {
  stream.on('error', ignore);
  const answer = (head: Record<string, string | number>) => {
    stream.respond(head, { endStream: true });
    stream.resume(); // what it still sends is read and thrown away
    return true;
  };
  if (headers[':method'] !== 'POST') return answer({ ':status': 405, allow: 'POST' });
  if (headers['content-type']?.startsWith('application/grpc') !== true) return answer({ ':status': 415 });
  if (headers[':path'] !== path)
    return answer({
      ...responseHead,
      'grpc-status': String(grpcStatus.UNIMPLEMENTED),
      'grpc-message': 'no such method',
    });
  return false;
}
