import { PeerError } from './peer-call.ts';
import type { PeerLink } from './peer-link.ts';
import type { PeerStream } from './peer-stream.ts';

/** A question to another broker. */
export interface PeerQuestion {
  /** Its first response. Rejects with a PeerError, also when there is none in time. */
  answer: Promise<Buffer>;
  /** A further request, and the last one, of a call that was kept open. Not a word when the call is over. */
  say(request: Uint8Array): void;
  /** Ends the call here and there; an answer that is not there yet does not come. */
  cancel(): void;
}

/** Under way at once to one peer; beyond it, it does not answer fast enough. */
const maxCalls = 5000;

/**
 * Opens a call of `path` at another broker, and asks.
 *
 * @param options.timeoutMs how long the answer may take
 * @param options.keepOpen a further request follows
 * @throws PeerError when too much is asked of it already
 */
export function askPeer(
  link: Pick<PeerLink, 'stream' | 'count'>,
  path: string,
  request: Uint8Array,
  { timeoutMs, keepOpen = false }: { timeoutMs: number; keepOpen?: boolean },
): PeerQuestion {
  if (link.count() >= maxCalls) throw new PeerError('busy', 'is asked too much at once');
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  let stream: PeerStream | undefined;
  let isOver = false;
  const over = () => {
    isOver = true;
    clearTimeout(timer);
  };
  const fail = (error: PeerError) => {
    if (isOver) return;
    over();
    stream?.cancel();
    reject(error);
  };
  const timer = setTimeout(
    () => fail(new PeerError('broke off', `did not answer within ${timeoutMs} ms`)),
    timeoutMs,
  );

  function begin(mayRepeat: boolean): void {
    stream = link.stream(path, {
      message(bytes) {
        if (isOver) return;
        over();
        resolve(Buffer.from(bytes));
      },
      ended(error = new PeerError('broke off', 'ended without an answer')) {
        if (isOver) return;
        // The connection was just closing, and the other side has certainly not looked at it.
        if (mayRepeat && error.kind === 'not processed') begin(false);
        else fail(error);
      },
    });
    stream.write(request, () => {});
    if (!keepOpen) stream.finish();
  }
  begin(true);

  return {
    answer: promise,
    say(more) {
      stream?.write(more, () => {});
      stream?.finish();
    },
    cancel() {
      if (isOver) stream?.cancel();
      else fail(new PeerError('cancelled', 'is no longer asked'));
    },
  };
}
