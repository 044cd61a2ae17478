import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { type Response, type ServerMsg, ServerMsgSchema, type StreamFrame } from '@coold/proto';
import type { StreamCarrier } from './hosts.ts';
import { createOutputQueue, type Output } from './output-queue.ts';
import { createSessionInput, type Failure, type SessionInput } from './session-input.ts';

/** How a stream began, or that it did not; a refusal of the host's is told from one of ours. */
export type Opening = { kind: 'opened' } | { kind: 'refused'; by: 'host' | 'broker'; failure: Failure };

/** How a stream that had begun ended. */
export type Ending = { kind: 'ended'; exitCode: number | undefined } | { kind: 'failed'; failure: Failure };

/** The next thing that a stream's caller is to be told. */
export type News = ({ kind: 'output' } & Output) | Ending;

/**
 * One streamed command, as its caller sees it. It is *opening* until the host says that it has begun, for the dispatch
 * timeout at the most; then *open*, until the host ends it or is lost; then *ended*, while its caller is told; then
 * *gone*, and nothing that is done to it counts.
 */
export interface Session {
  readonly opening: Promise<Opening>;
  /** Undefined: nothing at the moment; `onNews` is called when there is. The ending comes once, after all output. */
  next(): News | undefined;
  onNews(listener: () => void): void;
  /** Its caller has taken so many bytes of output; the host may send as many again. */
  taken(bytes: number): void;
  readonly input: Pick<SessionInput, 'begin'>;
  /** The reply is over, written or not. A host that is still at it is told to stop, and the id is free. */
  close(): void;
}

/** What became of something that the host said; all but the first changed nothing. */
export type Heard = 'heard' | 'out of turn' | 'offence';

/** The same stream, as its host sees it. */
export interface HostSide {
  /** 'offence': against the rules of the stream, which is broken off. */
  hear(body: Response['body']): Heard;
  /** @param why another than that the host is gone */
  disconnected(why?: Failure): void;
  /** The broker stops: what has not ended ends now. */
  stop(): void;
}

export interface SessionOptions {
  /** What its host knows it by. */
  name: string;
  host: StreamCarrier;
  /** Bytes of output that wait here for their reader at the most; the host is never granted more. */
  windowBytes: number;
  /** How many ms the host has to say that the stream has begun. */
  timeoutMs: number;
  onGone: () => void;
}

export const hostDisconnected: Failure = { code: 503, message: 'host disconnected' };
const endedBeforeInput: Failure = { code: 409, message: 'the stream ended before its input did' };

type Command = NonNullable<MessageInitShape<typeof ServerMsgSchema>['command']>;

export function createSession(options: SessionOptions): { session: Session; hostSide: HostSide } {
  const { name, host, windowBytes, timeoutMs, onGone } = options;
  const opening = Promise.withResolvers<Opening>();
  const output = createOutputQueue();
  let state: 'opening' | 'open' | 'ended' | 'gone' = 'opening';
  let ending: Ending | undefined;
  /** What the host may still send, and what was taken since it was last told so; in bytes. */
  let credit = windowBytes;
  let taken = 0;
  let announce = () => {};

  const message = (command: Command): ServerMsg => create(ServerMsgSchema, { requestId: name, command });
  const cancel = () => host.sendOwed(message({ case: 'streamCancel', value: {} }));
  const input = createSessionInput(value =>
    host.send(message({ case: 'streamInput', value: { input: value } })),
  );
  const timer = setTimeout(() => {
    cancel();
    fail({ code: 504, message: 'dispatch timeout' });
  }, timeoutMs);

  function refuse(failure: Failure, by: 'host' | 'broker'): void {
    clearTimeout(timer);
    state = 'ended';
    opening.resolve({ kind: 'refused', by, failure });
  }

  function end(how: Ending, inputFails: Failure): void {
    state = 'ended';
    ending = how;
    input.close(inputFails);
    announce();
  }

  function fail(failure: Failure, by: 'host' | 'broker' = 'broker'): void {
    if (state === 'opening') refuse(failure, by);
    else if (state === 'open') end({ kind: 'failed', failure }, by === 'host' ? endedBeforeInput : failure);
  }

  function breakOff(failure: Failure): Heard {
    cancel();
    fail(failure);
    return 'offence';
  }

  function open(stdinCredit: bigint): Heard {
    clearTimeout(timer);
    state = 'open';
    input.open(stdinCredit);
    opening.resolve({ kind: 'opened' });
    return 'heard';
  }

  function frame({ source, data }: StreamFrame): Heard {
    if (data.length > credit)
      return breakOff({ code: 502, message: 'host sent more of the stream than it was granted' });
    credit -= data.length;
    output.push(source, data);
    announce();
    return 'heard';
  }

  function hear(body: Response['body']): Heard {
    if (state === 'ended' || state === 'gone') return 'out of turn';
    if (body.case === 'error') {
      const { code, message, field } = body.value;
      fail(field === '' ? { code, message } : { code, message, field }, 'host');
      return 'heard';
    }
    if (state === 'opening') {
      switch (body.case) {
        case 'streamOpened':
          return open(body.value.credit);
        case 'streamFrame':
        case 'streamCredit':
        case 'streamEnd':
        case undefined:
          // Of a stream that has not begun there is nothing to be said yet.
          return 'out of turn';
        default:
          return breakOff({ code: 501, message: 'host answered whole: its coold does not stream this verb' });
      }
    }
    switch (body.case) {
      case 'streamFrame':
        return frame(body.value);
      case 'streamCredit':
        input.grant(body.value.bytes);
        return 'heard';
      case 'streamEnd':
        end({ kind: 'ended', exitCode: body.value.exitCode }, endedBeforeInput);
        return 'heard';
      case 'streamOpened':
      case undefined:
        return 'out of turn';
      default:
        return breakOff({ code: 502, message: `host answered a stream with ${body.case}` });
    }
  }

  const session: Session = {
    opening: opening.promise,
    next() {
      if (state === 'gone') return undefined;
      const first = output.take();
      if (first !== undefined) return { kind: 'output', ...first };
      const last = ending;
      ending = undefined;
      return last;
    },
    onNews(listener) {
      announce = listener;
    },
    taken(bytes) {
      taken += bytes;
      // Not at every frame: a host that reads of its credit a quarter of a window at a time is never without.
      if (state !== 'open' || taken < windowBytes / 4) return;
      const granted = taken;
      taken = 0;
      credit += granted;
      host.sendOwed(message({ case: 'streamCredit', value: { bytes: BigInt(granted) } }));
    },
    input,
    close() {
      if (state === 'gone') return;
      if (state === 'opening' || state === 'open') cancel();
      if (state === 'opening') refuse({ code: 499, message: 'caller left' }, 'broker');
      input.close(endedBeforeInput);
      state = 'gone';
      output.clear();
      onGone();
    },
  };
  return {
    session,
    hostSide: {
      hear,
      disconnected: (why = hostDisconnected) => fail(why),
      stop() {
        if (state === 'opening' || state === 'open') cancel();
        fail({ code: 503, message: 'broker is stopping' });
      },
    },
  };
}
