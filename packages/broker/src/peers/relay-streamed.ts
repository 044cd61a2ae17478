import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import {
  ForwardRequestSchema,
  ForwardResponseSchema,
  type Response,
  ResponseSchema,
  type ServerMsg,
  ServerMsgSchema,
} from '@coold/proto';
import { createTally } from '@coold/runtime';
import type { AgentCall, CallEvents } from '../agent-call.ts';
import { grpcStatus } from '../grpc-status.ts';
import type { HostStream, Hosts } from '../hosts.ts';
import { refuseSchema } from '../router.ts';
import { type HostSide, hostDisconnected } from '../session.ts';
import type { Failure } from '../session-input.ts';
import type { Streams } from '../streams.ts';
import { readForwarded, verbsByCase } from './forwarded-request.ts';
import type { TakeForwardedOptions } from './take-forwarded.ts';

export interface RelayStreamedOptions extends Omit<TakeForwardedOptions, 'park'> {
  /** Of this broker alone. */
  hosts: Pick<Hosts, 'get'>;
  streams: Pick<Streams, 'relay'>;
}

/**
 * Of a stream, written for the other broker and not yet taken by the connection to it. Output is bounded by its credit; what
 * a host says beside it, credits and frames with nothing in them, is bounded by this.
 */
const maxUnreadBytes = 16 * 1024 * 1024;
/** What one answer costs here beside its bytes. */
const answerBytes = 512;

/** Serves one call of BrokerPeer.Stream: passes on what its host and the other broker say, and bounds the host by its credit. */
export function relayStreamed(options: RelayStreamedOptions): (call: AgentCall) => CallEvents {
  const { brokerId, hosts, streams, verbs, count, log } = options;
  const byCase = verbsByCase(verbs);
  const tally = createTally(log);

  return call => {
    let relayed: Relayed | undefined;
    let unreadBytes = 0;

    const say = (
      requestId: string,
      body: { case: 'response'; value: Response } | { case: 'refusal'; value: Failure },
    ) => {
      const answer =
        body.case === 'response'
          ? body
          : { case: body.case, value: { ...body.value, field: body.value.field ?? '' } };
      const bytes = toBinary(
        ForwardResponseSchema,
        create(ForwardResponseSchema, { requestId, body: answer }),
      );
      const cost = bytes.length + answerBytes;
      unreadBytes += cost;
      call.write(bytes, () => {
        unreadBytes -= cost;
      });
    };
    const refuse = (requestId: string, value: Failure) => {
      say(requestId, { case: 'refusal', value });
      call.end(grpcStatus.OK, '');
    };
    const notTaken = (outcome: 'misled' | 'malformed', why: string) => {
      const code = outcome === 'misled' ? grpcStatus.FAILED_PRECONDITION : grpcStatus.INVALID_ARGUMENT;
      count(outcome);
      tally({ peer: call.peer, why }, 'what another broker sent is not taken');
      call.end(code, why);
    };

    function begin(bytes: Buffer): void {
      const read = readForwarded(bytes, brokerId, byCase, 'stream');
      if ('why' in read) {
        notTaken(read.outcome, read.why);
        return;
      }
      const { requestId, hostId, verb, name, command, credit } = read;
      const host = hosts.get(hostId);
      if (host === undefined) {
        count('not connected');
        refuse(name, { code: 404, message: 'host not connected' });
        return;
      }
      const aboveSchema = refuseSchema(verb, host);
      if (aboveSchema !== undefined) {
        count('schema');
        refuse(name, { code: 501, message: aboveSchema, field: 'command.type' });
        return;
      }
      const asked = streams.relay(requestId, host, command, credit, (own, onGone) => {
        relayed = createRelayed({
          ...{ own, host, credit, onGone },
          isUnread: () => unreadBytes > maxUnreadBytes,
          answer: body =>
            say(name, { case: 'response', value: create(ResponseSchema, { requestId: name, body }) }),
          refuse: failure => say(name, { case: 'refusal', value: failure }),
          end: () => call.end(grpcStatus.OK, ''),
        });
        return relayed.hostSide;
      });
      count(asked.kind === 'relayed' ? 'streamed' : asked.kind);
      if (asked.kind !== 'relayed') refuse(name, refusals[asked.kind]);
    }

    call.accept();
    return {
      message(bytes) {
        if (relayed === undefined) begin(bytes);
        else if (!relayed.pass(bytes)) notTaken('malformed', 'command: expected input, credit or a cancel');
      },
      finished() {
        relayed?.abandon();
        call.end(grpcStatus.OK, '');
      },
      closed: () => relayed?.abandon(),
    };
  };
}

const refusals: Record<'stopping' | 'in flight' | 'full' | 'unread', Failure> = {
  stopping: { code: 503, message: 'broker is stopping' },
  'in flight': { code: 409, message: 'request_id already in flight', field: 'request_id' },
  full: { code: 503, message: 'broker at pending-dispatch capacity' },
  unread: { code: 503, message: 'host does not read its stream' },
};

interface Relayed {
  hostSide: HostSide;
  /** Passes on what the other broker sent; false: it is nothing that belongs here. */
  pass(bytes: Buffer): boolean;
  /** The other broker has left: a host that is still at it is told to stop. */
  abandon(): void;
}

interface RelayedOptions {
  /** What the host knows the stream by. */
  own: string;
  host: HostStream;
  /** Bytes. */
  credit: bigint;
  onGone(): void;
  /** The other broker has left too much unread. */
  isUnread(): boolean;
  answer(body: Response['body']): void;
  refuse(failure: Failure): void;
  end(): void;
}

function createRelayed({
  own,
  host,
  credit,
  onGone,
  isUnread,
  answer,
  refuse,
  end,
}: RelayedOptions): Relayed {
  let granted = credit;
  let isOver = false;
  const toHost = (command: ServerMsg['command']) => create(ServerMsgSchema, { requestId: own, command });
  const cancel = () =>
    host.sendOwed(create(ServerMsgSchema, { requestId: own, command: { case: 'streamCancel', value: {} } }));

  function finish(): void {
    isOver = true;
    onGone();
    end();
  }
  function fail(failure: Failure): void {
    if (isOver) return;
    refuse(failure);
    finish();
  }

  return {
    hostSide: {
      hear(body) {
        if (isOver || body.case === undefined) return 'out of turn';
        if (isUnread()) {
          cancel();
          fail({ code: 502, message: 'host said more of the stream than its reader takes' });
          return 'offence';
        }
        if (body.case === 'streamFrame') {
          granted -= BigInt(body.value.data.length);
          if (granted < 0n) {
            cancel();
            fail({ code: 502, message: 'host sent more of the stream than it was granted' });
            return 'offence';
          }
        }
        answer(body);
        // With anything else the host has said its last.
        if (body.case !== 'streamFrame' && body.case !== 'streamOpened' && body.case !== 'streamCredit')
          finish();
        return 'heard';
      },
      disconnected: (why = hostDisconnected) => fail(why),
      stop() {
        if (!isOver) cancel();
        fail({ code: 503, message: 'broker is stopping' });
      },
    },
    pass(bytes) {
      if (isOver) return true;
      const command = decodeCommand(bytes);
      switch (command?.case) {
        case 'streamInput':
          if (!host.send(toHost(command))) {
            cancel();
            fail(refusals.unread);
          }
          return true;
        case 'streamCredit':
          granted += command.value.bytes;
          host.sendOwed(toHost(command));
          return true;
        case 'streamCancel':
          cancel();
          finish();
          return true;
        default:
          cancel();
          isOver = true;
          onGone();
          return false;
      }
    },
    abandon() {
      if (isOver) return;
      cancel();
      isOver = true;
      onGone();
    },
  };
}

function decodeCommand(bytes: Buffer): ServerMsg['command'] | undefined {
  try {
    return fromBinary(ForwardRequestSchema, bytes).command?.command;
  } catch {
    return undefined;
  }
}
