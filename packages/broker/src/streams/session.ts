import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { brokerStopping, dispatchTimeout, type Failure, failure, hostDisconnected } from '@coold/errors';
import { type Response, type ServerMsg, ServerMsgSchema, type StreamFrame } from '@coold/proto';
import { hostFailure } from '../hosts/host-failure.ts';
import type { StreamCarrier } from '../hosts/hosts.ts';
import { createOutputQueue, type Output } from './output-queue.ts';
import { createSessionInput, type SessionInput } from './session-input.ts';

/** How a stream began, or why it did not. `by` says whether the host or the broker refused. */
export type Opening = { kind: 'opened' } | { kind: 'refused'; by: 'host' | 'broker'; failure: Failure };

/** How a stream that had begun ended. */
export type Ending = { kind: 'ended'; exitCode: number | undefined } | { kind: 'failed'; failure: Failure };

/** The next event for the caller of a stream. */
export type News = ({ kind: 'output' } & Output) | Ending;

/** One streamed command, for its caller. `SessionState` lists its states. */
export interface Session {
  /** Never rejects. */
  readonly opening: Promise<Opening>;
  /**
   * Returns the next event; undefined when there is none, and then `onNews` is called when there is. The ending comes
   * after all output.
   */
  next(): News | undefined;
  onNews(listener: () => void): void;
  /** Records that the caller has taken so many bytes of output, so the host may send as many again. */
  taken(bytes: number): void;
  readonly input: Pick<SessionInput, 'begin'>;
  /**
   * Call when the reply ended, sent whole or not. A host that has not ended the stream is told to stop, and the id is
   * free.
   */
  close(): void;
}

/**
 * The result of taking a message of the host. All but 'heard' changed nothing, except that an offence ends the stream.
 */
export type Heard = 'heard' | 'out of turn' | 'offence';

/** The same stream, for its host. */
export interface HostSide {
  /** Handles a message of the host. 'offence': it violated the rules of the stream, which is ended. */
  hear(body: Response['body']): Heard;
  /** The host's stream is lost. @param why the reason, if it is another than that the host has left */
  disconnected(why?: Failure): void;
  /** The broker stops: the stream ends now. */
  stop(): void;
}

export interface SessionOptions {
  /** The name of the stream on its host's connection. */
  name: string;
  host: StreamCarrier;
  /** The most bytes of output that wait here for the reader. The host is never granted more. */
  windowBytes: number;
  /** How long the host may take to begin the stream, in ms. */
  timeoutMs: number;
  onGone: () => void;
}

const endedBeforeInput = failure('input_not_taken', 'the stream ended before its input did');

type Command = NonNullable<MessageInitShape<typeof ServerMsgSchema>['command']>;

export function createSession(options: SessionOptions): { session: Session; hostSide: HostSide } {
  const session = new StreamSession(options);
  return { session, hostSide: session };
}

/** The state of a session. Allowed transitions: opening → open or ended, open → ended, and every state → gone. */
type SessionState =
  /** The host was sent the command, and has not begun the stream yet. It ends after the dispatch timeout. */
  | 'opening'
  /** The host sends output and takes input. */
  | 'open'
  /** The host has ended the stream, or it was ended here. The caller has not got the rest yet. */
  | 'ended'
  /** The reply has ended. Calls have no effect any more. */
  | 'gone';

class StreamSession implements Session, HostSide {
  readonly opening: Promise<Opening>;
  readonly input: SessionInput;
  readonly #options: SessionOptions;
  readonly #opened: (opening: Opening) => void;
  readonly #output = createOutputQueue();
  /** Ends the state opening. */
  readonly #timer: NodeJS.Timeout;
  #state: SessionState = 'opening';
  /** Present in the state ended until the caller has it. */
  #ending: Ending | undefined;
  /** How many bytes the host may still send. */
  #credit: number;
  /** How many bytes were taken since the host was last granted more. */
  #taken = 0;
  #announce = () => {};

  constructor(options: SessionOptions) {
    const { promise, resolve } = Promise.withResolvers<Opening>();
    this.opening = promise;
    this.#opened = resolve;
    this.#options = options;
    this.#credit = options.windowBytes;
    this.input = createSessionInput(value =>
      options.host.send(this.#message({ case: 'streamInput', value: { input: value } })),
    );
    this.#timer = setTimeout(() => {
      this.#cancel();
      this.#fail(dispatchTimeout);
    }, options.timeoutMs);
  }

  next(): News | undefined {
    if (this.#state === 'gone') return undefined;
    const first = this.#output.take();
    if (first !== undefined) return { kind: 'output', ...first };
    const last = this.#ending;
    this.#ending = undefined;
    return last;
  }

  onNews(listener: () => void): void {
    this.#announce = listener;
  }

  taken(bytes: number): void {
    const { host, windowBytes } = this.#options;
    this.#taken += bytes;
    // Not for every frame. With a quarter of the window at a time, a host whose output is read without pause always has
    // credit.
    if (this.#state !== 'open' || this.#taken < windowBytes / 4) return;
    const granted = this.#taken;
    this.#taken = 0;
    this.#credit += granted;
    host.sendOwed(this.#message({ case: 'streamCredit', value: { bytes: BigInt(granted) } }));
  }

  close(): void {
    if (this.#state === 'gone') return;
    if (this.#isLive()) this.#cancel();
    if (this.#state === 'opening') this.#refuse(failure('caller_left', 'caller left'), 'broker');
    this.input.close(endedBeforeInput);
    this.#state = 'gone';
    this.#output.clear();
    this.#options.onGone();
  }

  hear(body: Response['body']): Heard {
    if (!this.#isLive()) return 'out of turn';
    if (body.case === 'error') {
      this.#fail(hostFailure(body.value), 'host');
      return 'heard';
    }
    return this.#state === 'opening' ? this.#hearOpening(body) : this.#hearOpen(body);
  }

  disconnected(why = hostDisconnected): void {
    this.#fail(why);
  }

  stop(): void {
    if (this.#isLive()) this.#cancel();
    this.#fail(brokerStopping);
  }

  #hearOpening(body: Response['body']): Heard {
    switch (body.case) {
      case 'streamOpened':
        this.#open(body.value.credit);
        return 'heard';
      case 'streamFrame':
      case 'streamCredit':
      case 'streamEnd':
      case undefined:
        // These concern a stream that has begun.
        return 'out of turn';
      default:
        return this.#breakOff(
          failure('host_too_old', 'host answered whole: its coold does not stream this verb'),
        );
    }
  }

  #hearOpen(body: Response['body']): Heard {
    switch (body.case) {
      case 'streamFrame':
        return this.#hearFrame(body.value);
      case 'streamCredit':
        this.input.grant(body.value.bytes);
        return 'heard';
      case 'streamEnd':
        this.#end({ kind: 'ended', exitCode: body.value.exitCode }, endedBeforeInput);
        return 'heard';
      case 'streamOpened':
      case undefined:
        return 'out of turn';
      default:
        return this.#breakOff(failure('stream_broken', `host answered a stream with ${body.case}`));
    }
  }

  #hearFrame({ source, data }: StreamFrame): Heard {
    if (data.length > this.#credit)
      return this.#breakOff(failure('stream_broken', 'host sent more of the stream than it was granted'));
    this.#credit -= data.length;
    this.#output.push(source, data);
    this.#announce();
    return 'heard';
  }

  /** opening → open. @param stdinCredit how many bytes of stdin the host takes at first */
  #open(stdinCredit: bigint): void {
    clearTimeout(this.#timer);
    this.#state = 'open';
    this.input.open(stdinCredit);
    this.#opened({ kind: 'opened' });
  }

  /** opening → ended. */
  #refuse(failure: Failure, by: 'host' | 'broker'): void {
    clearTimeout(this.#timer);
    this.#state = 'ended';
    this.#opened({ kind: 'refused', by, failure });
  }

  /** open → ended. @param inputFailure the failure of further input */
  #end(ending: Ending, inputFailure: Failure): void {
    this.#state = 'ended';
    this.#ending = ending;
    this.input.close(inputFailure);
    this.#announce();
  }

  /** opening or open → ended, if the stream has not ended yet. */
  #fail(failure: Failure, by: 'host' | 'broker' = 'broker'): void {
    if (this.#state === 'opening') this.#refuse(failure, by);
    else if (this.#state === 'open')
      this.#end({ kind: 'failed', failure }, by === 'host' ? endedBeforeInput : failure);
  }

  #breakOff(failure: Failure): Heard {
    this.#cancel();
    this.#fail(failure);
    return 'offence';
  }

  /** Whether the host has not ended the stream. */
  #isLive(): boolean {
    return this.#state === 'opening' || this.#state === 'open';
  }

  #cancel(): void {
    this.#options.host.sendOwed(this.#message({ case: 'streamCancel', value: {} }));
  }

  #message(command: Command): ServerMsg {
    return create(ServerMsgSchema, { requestId: this.#options.name, command });
  }
}
