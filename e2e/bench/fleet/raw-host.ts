import { once } from 'node:events';
import { type ClientHttp2Session, type ClientHttp2Stream, connect } from 'node:http2';
import { agentStream } from '@coold/proto';

export interface RawHostOptions {
  /** `http://…` or `https://…`; the certificate is not verified. */
  url: string;
  token: string;
  /** The encoded ClientMsg with the Hello. */
  hello: Buffer;
  /** Returns the encoded answer to an encoded ServerMsg; undefined: no answer. */
  answer: (command: Buffer) => Buffer | undefined;
  /** Called once, when the broker has accepted the host. */
  onAccepted: () => void;
}

/**
 * A minimal host: node:http2 and a five-byte header before each message. With a gRPC library, ten thousand hosts would
 * use more memory and time than the broker that is measured.
 */
export interface RawHost {
  /** Sends an HTTP/2 PING; coold sends one every 30 s. */
  ping(): void;
  /** Resolves when the stream or the connection has ended, with the gRPC status or another reason. */
  ended: Promise<string>;
  destroy(): void;
}

export function dialRaw({ url, token, hello, answer, onAccepted }: RawHostOptions): RawHost {
  const session: ClientHttp2Session = connect(url, { rejectUnauthorized: false });
  // The same headers as grpc-js, so that the header tables on the other side have the size that coold causes.
  const stream: ClientHttp2Stream = session.request({
    ':method': 'POST',
    ':path': agentStream.path,
    authorization: `Bearer ${token}`,
    'grpc-accept-encoding': 'identity,deflate,gzip',
    'accept-encoding': 'identity',
    'user-agent': 'grpc-node-js/1.14.7',
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  let said = '';
  session.on('error', (error: Error) => {
    said ||= error.message;
  });
  stream.on('error', (error: Error) => {
    said ||= error.message;
  });
  stream.once('response', headers => {
    if (headers['grpc-status'] === undefined) onAccepted();
    else said = `status ${headers['grpc-status']}: ${headers['grpc-message'] ?? ''}`;
  });
  stream.once('trailers', headers => {
    said = `status ${headers['grpc-status']}: ${headers['grpc-message'] ?? ''}`;
  });
  let unread: Buffer = Buffer.alloc(0);
  stream.on('data', (chunk: Buffer) => {
    unread = unread.length === 0 ? chunk : Buffer.concat([unread, chunk]);
    while (unread.length >= 5 && unread.length >= 5 + unread.readUInt32BE(1)) {
      const end = 5 + unread.readUInt32BE(1);
      const answered = answer(unread.subarray(5, end));
      if (answered !== undefined) stream.write(frame(answered));
      unread = unread.subarray(end);
    }
  });
  stream.write(frame(hello));
  const ended = Promise.race([once(stream, 'close'), once(session, 'close')]).then(
    () => said || 'closed',
    (error: Error) => said || error.message,
  );
  void ended.then(() => session.destroy());
  return {
    ping: () => {
      if (!session.destroyed && !session.connecting) session.ping(() => {});
    },
    ended,
    destroy: () => session.destroy(),
  };
}

function frame(message: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}
