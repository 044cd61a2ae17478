import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  constants,
  type IncomingHttpHeaders,
} from 'node:http2';
import { maxResponseBytes } from '@coold/proto';
import { grpcStatus, readGrpcMessage } from '../../grpc/grpc-status.ts';
import { createMessageReader, frameMessage } from '../../grpc/message-reader.ts';

/** Why another broker did not answer. The message completes "broker b at a …". */
export class PeerError extends Error {
  /**
   * `not processed`: the other side reports that it has not handled the call, for example because it was about to
   * close.
   */
  readonly kind: 'unreachable' | 'broke off' | 'not processed' | 'refused' | 'busy' | 'cancelled';
  /** Whether the peer is of an older version, without this call. */
  readonly isUnimplemented: boolean;
  constructor(kind: PeerError['kind'], message: string, isUnimplemented = false) {
    super(message);
    this.name = 'PeerError';
    this.kind = kind;
    this.isUnimplemented = isUnimplemented;
  }
}

/** An answer with its envelope. */
export const maxAnswerBytes = maxResponseBytes + 64 * 1024;

/** Returns the error in a call's headers or trailers; undefined when there is none. */
export function statusError(headers: IncomingHttpHeaders): PeerError | undefined {
  const { ':status': status, 'grpc-status': code } = headers;
  if (status !== undefined && Number(status) !== 200)
    return new PeerError('refused', `answered with HTTP status ${status}`);
  if (code === undefined || code === String(grpcStatus.OK)) return undefined;
  const details = readGrpcMessage(headers['grpc-message']);
  const isUnimplemented = code === String(grpcStatus.UNIMPLEMENTED);
  const words = `answered with gRPC status ${String(code).slice(0, 16)}: ${details}`;
  return new PeerError('refused', words, isUnimplemented);
}

export function brokenOff(stream: ClientHttp2Stream, error: Error): PeerError {
  const kind = stream.rstCode === constants.NGHTTP2_REFUSED_STREAM ? 'not processed' : 'broke off';
  return new PeerError(kind, `broke off: ${error.message}`);
}

export const requestHeaders = {
  ':method': 'POST',
  'content-type': 'application/grpc+proto',
  te: 'trailers',
} as const;

/** Makes one unary call of BrokerPeer: bytes to bytes. @param path of the method @throws PeerError */
export function callOnce(
  session: ClientHttp2Session,
  path: string,
  request: Uint8Array,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  if (signal.aborted) throw new PeerError('cancelled', 'was not asked');
  const stream = session.request({
    ...requestHeaders,
    ':path': path,
    'grpc-timeout': `${Math.min(timeoutMs, 99_999_999)}m`,
  });
  const reader = createMessageReader();
  let answer: Buffer | undefined;
  let why: PeerError | undefined;
  const fail = (error: PeerError) => {
    why ??= error;
    stream.close(constants.NGHTTP2_CANCEL);
  };
  const cancel = () => fail(new PeerError('cancelled', 'is no longer asked'));
  const readStatus = (headers: IncomingHttpHeaders) => {
    const error = statusError(headers);
    if (error !== undefined) fail(error);
  };
  signal.addEventListener('abort', cancel, { once: true });
  stream.on('error', (error: Error) => {
    why ??= brokenOff(stream, error);
  });
  stream.once('response', readStatus);
  stream.once('trailers', readStatus);
  stream.on('data', (chunk: Buffer) => {
    const wrong = reader.read(
      chunk,
      () => maxAnswerBytes,
      message => {
        if (answer === undefined) answer = Buffer.from(message);
        else fail(new PeerError('refused', 'answered twice'));
      },
    );
    if (wrong !== undefined) fail(new PeerError('refused', `answered badly: ${wrong.details}`));
  });
  stream.once('close', () => {
    signal.removeEventListener('abort', cancel);
    if (why !== undefined) reject(why);
    else if (answer === undefined) reject(new PeerError('broke off', 'ended without an answer'));
    else resolve(answer);
  });
  stream.end(frameMessage(request));
  return promise;
}
