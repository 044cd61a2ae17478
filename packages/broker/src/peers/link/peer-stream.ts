import { type ClientHttp2Session, type ClientHttp2Stream, constants } from 'node:http2';
import { createMessageReader, frameMessage } from '../../grpc/message-reader.ts';
import { brokenOff, maxAnswerBytes, PeerError, requestHeaders, statusError } from './peer-call.ts';

/** One call of BrokerPeer whose requests and responses are streams, as the broker sees it that asks. */
export interface PeerStream {
  /** Queues a message; `taken` once the connection took it. Not a word when the call is over. */
  write(message: Uint8Array, taken: () => void): void;
  /** No message follows. */
  finish(): void;
  /** Ends it here and there. */
  cancel(): void;
}

export interface PeerStreamEvents {
  message(bytes: Buffer): void;
  /** Once, and nothing comes after it; undefined: in good order. Never before `openPeerStream` has returned. */
  ended(error: PeerError | undefined): void;
}

export function openPeerStream(
  session: Promise<ClientHttp2Session>,
  path: string,
  events: PeerStreamEvents,
): PeerStream {
  let stream: ClientHttp2Stream | undefined;
  let waiting: ((opened: ClientHttp2Stream) => void)[] = [];
  let why: PeerError | undefined;
  let isOver = false;

  function over(): void {
    if (isOver) return;
    isOver = true;
    waiting = [];
    events.ended(why);
  }

  function fail(error: PeerError): void {
    why ??= error;
    stream?.close(constants.NGHTTP2_CANCEL);
  }

  const whenOpen = (act: (opened: ClientHttp2Stream) => void) => {
    if (isOver) return;
    if (stream === undefined) waiting.push(act);
    else if (!stream.destroyed) act(stream);
  };

  function open(taken: ClientHttp2Session): void {
    const opened = taken.request({ ...requestHeaders, ':path': path }, { endStream: false });
    const reader = createMessageReader();
    opened.on('error', (error: Error) => {
      why ??= brokenOff(opened, error);
    });
    const readStatus = (headers: Parameters<typeof statusError>[0]) => {
      const error = statusError(headers);
      if (error !== undefined) fail(error);
    };
    opened.once('response', readStatus);
    opened.once('trailers', readStatus);
    opened.on('data', (chunk: Buffer) => {
      const limit = () => maxAnswerBytes;
      const wrong = reader.read(chunk, limit, message => {
        if (why === undefined) events.message(message);
      });
      if (wrong !== undefined) fail(new PeerError('refused', `answered badly: ${wrong.details}`));
    });
    opened.once('close', over);
    stream = opened;
    for (const act of waiting) act(opened);
    waiting = [];
  }

  session.then(open).catch((error: unknown) => {
    why ??= error instanceof PeerError ? error : new PeerError('broke off', `broke off: ${String(error)}`);
    over();
  });

  return {
    write: (message, taken) =>
      whenOpen(opened => opened.write(frameMessage(message), error => void (error == null && taken()))),
    finish: () => whenOpen(opened => opened.end()),
    cancel() {
      why ??= new PeerError('cancelled', 'is no longer asked');
      whenOpen(opened => opened.close(constants.NGHTTP2_CANCEL));
    },
  };
}
