import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { type GrpcStatus, grpcMessage, grpcStatus } from './grpc-status.ts';
import { createMessageReader, frameMessage, type MessageReader } from './message-reader.ts';

/** One call of Agent.Stream, as the broker sees it. */
export interface AgentCall {
  /** `address:port` of the other end. */
  readonly peer: string;
  /** The header, if it is there; once, for it is not kept: a third of a kilobyte for each host. */
  takeAuthorization(): string | undefined;
  /** It has ended, or we have ended it. */
  readonly over: boolean;
  /** Tells the host that it is in: until then its dial has not succeeded, and its messages are held short. */
  accept(): void;
  /** Queues a message; `taken` once the connection took it, or failed to. Not a word when the call is over. */
  write(message: Uint8Array, taken: (error?: Error | null) => void): void;
  /** Ends it with a status. The first end counts. */
  end(code: GrpcStatus, details: string): void;
}

/** What happens on a call; nothing comes after `closed`. */
export interface CallEvents {
  message(bytes: Buffer): void;
  /** The host says that no message follows. */
  finished(): void;
  /** Over, whoever ended it. */
  closed(): void;
}

/** Takes a call in; what it returns is told what happens from then on. */
export type CallHandler = (call: AgentCall) => CallEvents;

/** What a connection wants to know of the calls on it. */
export interface CallPlace {
  /** A host's stream lives on it from now on. */
  admitted(): void;
  /** It no longer does. */
  left(): void;
}

/** Above this a message is not buffered to find whose answer it was, and its stream ends: no coold sends one. */
const maxMessageBytes = 64 * 1024 * 1024;
/**
 * Of a message before the host is in: a Hello, which names the builds that a host has. Some 2,300 at the most, of which the
 * ids are up to 128 characters: one that was not taken would keep its host away until their results are a day old.
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
  /** Not beyond the end: a message that is half here may be large, and its sender need never close its side. */
  let reader: MessageReader | undefined = createMessageReader();
  const socket = stream.session?.socket;
  let { authorization } = headers;
  let accepted = false;
  let over = false;
  let events: CallEvents | undefined;
  /** Once, whoever ended the call. */
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

  // The status says it, or `closed` does: what is left is a connection that broke.
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

/** Answers what is no call of ours, and returns whether it was one. */
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
