import { create, toBinary } from '@bufbuild/protobuf';
import { ForwardResponseSchema, type Verb } from '@coold/proto';
import { createTally, type Logger } from '@coold/runtime';
import type { AgentCall, CallEvents } from '../agent-call.ts';
import { grpcStatus } from '../grpc-status.ts';
import type { Park, Refused } from '../park.ts';
import type { Outcome, Ticket } from '../pending.ts';
import type { DispatchOutcome } from '../record-dispatches.ts';
import { readForwarded, verbsByCase } from './forwarded-request.ts';

/** What became of commands that other brokers sent here. */
export type TakenOutcome = 'answered' | 'streamed' | 'misled' | 'malformed' | DispatchOutcome;

export interface TakeForwardedOptions {
  brokerId: string;
  /** Of this broker's own hosts and no others: so nothing is forwarded twice. */
  park: Park;
  verbs: ReadonlyMap<string, Verb>;
  count(outcome: TakenOutcome): void;
  log: Logger;
}

/** Serves one call of BrokerPeer.Forward. */
export function takeForwarded(
  options: TakeForwardedOptions,
): (call: AgentCall, timeoutMs: number | undefined) => CallEvents {
  const { brokerId, park, verbs, count, log } = options;
  const byCase = verbsByCase(verbs);
  const tally = createTally(log);

  return (call, timeoutMs) => {
    let ticket: Ticket | undefined;
    let isAsked = false;
    const answer = (body: Parameters<typeof respond>[1], requestId: string, written: () => void) =>
      call.write(respond(requestId, body), error => {
        if (error == null) written();
        call.end(grpcStatus.OK, '');
      });
    const refuse = (requestId: string, refusal: Omit<Refused, 'kind'>) => {
      count(refusal.outcome);
      answer({ case: 'refusal', value: refusal }, requestId, () => {});
    };

    function take(bytes: Buffer): void {
      const read = readForwarded(bytes, brokerId, byCase, 'whole');
      if ('why' in read) {
        const { outcome, why } = read;
        const code = outcome === 'misled' ? grpcStatus.FAILED_PRECONDITION : grpcStatus.INVALID_ARGUMENT;
        count(outcome);
        tally({ peer: call.peer, why }, 'what another broker sent is not taken');
        call.end(code, why);
        return;
      }
      const { requestId } = read;
      const parking = park(read, timeoutMs);
      if (parking.kind === 'refused') refuse(requestId, parking);
      else waitFor(requestId, parking.ticket);
    }

    function waitFor(requestId: string, parked: Ticket): void {
      ticket = parked;
      void parked.outcome.then(outcome => {
        // Nobody reads it; an answer has landed as soon as `closed` has said so.
        if (call.over) return;
        if (outcome.kind !== 'answered') {
          refuse(requestId, unanswered(outcome.kind));
          return;
        }
        count('answered');
        answer({ case: 'response', value: outcome.response }, requestId, () => {
          ticket = undefined;
          parked.delivered();
        });
      });
    }

    call.accept();
    return {
      message(bytes) {
        if (isAsked) call.end(grpcStatus.INVALID_ARGUMENT, 'expected one message');
        else take(bytes);
        isAsked = true;
      },
      finished() {
        if (!isAsked) call.end(grpcStatus.INVALID_ARGUMENT, 'expected one message');
      },
      closed() {
        if (ticket !== undefined) ticket.undelivered();
      },
    };
  };
}

function unanswered(kind: Exclude<Outcome['kind'], 'answered'>): Omit<Refused, 'kind'> {
  switch (kind) {
    case 'timeout':
      return { outcome: 'timeout', code: 504, message: 'dispatch timeout' };
    case 'disconnected':
      return { outcome: 'disconnected', code: 503, message: 'host disconnected' };
    case 'stopping':
      return { outcome: 'stopping', code: 503, message: 'broker is stopping' };
  }
}

function respond(
  requestId: string,
  body:
    | { case: 'response'; value: Extract<Outcome, { kind: 'answered' }>['response'] }
    | { case: 'refusal'; value: Omit<Refused, 'kind'> },
): Uint8Array {
  if (body.case === 'response')
    return toBinary(ForwardResponseSchema, create(ForwardResponseSchema, { requestId, body }));
  const { code, message, field = '' } = body.value;
  const refusal = { case: 'refusal', value: { code, message, field } } as const;
  return toBinary(ForwardResponseSchema, create(ForwardResponseSchema, { requestId, body: refusal }));
}
