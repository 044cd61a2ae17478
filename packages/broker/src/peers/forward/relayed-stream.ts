import { create, fromBinary } from '@bufbuild/protobuf';
import { brokerStopping, type Failure, failure, hostDisconnected, hostNotReading } from '@coold/errors';
import { ForwardRequestSchema, type Response, type ServerMsg, ServerMsgSchema } from '@coold/proto';
import type { StreamCarrier } from '../../hosts/hosts.ts';
import type { Heard, HostSide } from '../../streams/session.ts';

export interface RelayedStreamOptions {
  /** The name of the stream at its host. */
  name: string;
  host: StreamCarrier;
  /** How many bytes the host may send at first. */
  credit: bigint;
  onGone(): void;
  /** Whether the other broker has left too much unread. */
  isUnread(): boolean;
  /** Sends what the host said to the other broker. */
  answer(body: Response['body']): void;
  /** Tells the other broker why the stream ends. */
  refuse(failure: Failure): void;
  /** Ends the call of the other broker. */
  end(): void;
}

/**
 * The stream of a host of this broker whose caller is at another broker. It passes on what both say, and holds the host to the
 * credit that the other broker grants. It is over once the host or the other broker has ended it: then nothing has an effect.
 */
export class RelayedStream implements HostSide {
  readonly #options: RelayedStreamOptions;
  /** How many bytes the host may still send. */
  #credit: bigint;
  #isOver = false;

  constructor(options: RelayedStreamOptions) {
    this.#options = options;
    this.#credit = options.credit;
  }

  hear(body: Response['body']): Heard {
    if (this.#isOver || body.case === undefined) return 'out of turn';
    if (this.#options.isUnread()) return this.#breakOff('host said more of the stream than its reader takes');
    if (body.case === 'streamFrame') {
      this.#credit -= BigInt(body.value.data.length);
      if (this.#credit < 0n) return this.#breakOff('host sent more of the stream than it was granted');
    }
    this.#options.answer(body);
    // Any other message is the last one of the host.
    if (body.case !== 'streamFrame' && body.case !== 'streamOpened' && body.case !== 'streamCredit')
      this.#finish();
    return 'heard';
  }

  disconnected(why = hostDisconnected): void {
    this.#fail(why);
  }

  stop(): void {
    if (!this.#isOver) this.#cancel();
    this.#fail(brokerStopping);
  }

  /** Passes on what the other broker sent. @returns false where it does not belong to a stream: the stream is over then */
  pass(bytes: Buffer): boolean {
    if (this.#isOver) return true;
    const { host } = this.#options;
    const command = decodeCommand(bytes);
    switch (command?.case) {
      case 'streamInput':
        if (!host.send(this.#toHost(command))) {
          this.#cancel();
          this.#fail(hostNotReading);
        }
        return true;
      case 'streamCredit':
        this.#credit += command.value.bytes;
        host.sendOwed(this.#toHost(command));
        return true;
      case 'streamCancel':
        this.#cancel();
        this.#finish();
        return true;
      default:
        this.abandon();
        return false;
    }
  }

  /** The other broker has left: the host is told to stop. */
  abandon(): void {
    if (this.#isOver) return;
    this.#cancel();
    this.#isOver = true;
    this.#options.onGone();
  }

  #breakOff(why: string): Heard {
    this.#cancel();
    this.#fail(failure('stream_broken', why));
    return 'offence';
  }

  #fail(failure: Failure): void {
    if (this.#isOver) return;
    this.#options.refuse(failure);
    this.#finish();
  }

  #finish(): void {
    this.#isOver = true;
    this.#options.onGone();
    this.#options.end();
  }

  #cancel(): void {
    const { name: requestId, host } = this.#options;
    host.sendOwed(create(ServerMsgSchema, { requestId, command: { case: 'streamCancel', value: {} } }));
  }

  #toHost(command: ServerMsg['command']): ServerMsg {
    return create(ServerMsgSchema, { requestId: this.#options.name, command });
  }
}

function decodeCommand(bytes: Buffer): ServerMsg['command'] | undefined {
  try {
    return fromBinary(ForwardRequestSchema, bytes).command?.command;
  } catch {
    return undefined;
  }
}
