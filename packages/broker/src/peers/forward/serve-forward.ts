import { create, toBinary } from '@bufbuild/protobuf';
import { brokerStopping, dispatchTimeout, hostDisconnected } from '@coold/errors';
import { ForwardResponseSchema, type Verb } from '@coold/proto';
import { createSampledWarn, type Logger } from '@coold/runtime';
import type { Outcome, Ticket } from '../../dispatch/pending.ts';
import type { DispatchOutcome } from '../../dispatch/record-dispatches.ts';
import type { Refused, SendDispatch } from '../../dispatch/send-to-host.ts';
import { grpcStatus } from '../../grpc/grpc-status.ts';
import type { PeerHandler } from '../link/peer-listener.ts';
import type { CheckSender } from '../link/peer-sender.ts';
import { type RefusedRequest, statusOf } from '../link/refuse-sender.ts';
import { readForwarded, verbsByCase } from './forwarded-request.ts';
import { peerRefusal } from './peer-refusal.ts';

/** What became of commands that other brokers sent here. */
export type TakenOutcome = 'answered' | 'streamed' | RefusedRequest['outcome'] | DispatchOutcome;

export interface ServeForwardOptions {
  brokerId: string;
  checkSender: CheckSender;
  /** Of this broker's own hosts and no others: so nothing is forwarded twice. */
  sendDispatch: SendDispatch;
  verbs: ReadonlyMap<string, Verb>;
  count(outcome: TakenOutcome): void;
  log: Logger;
}

/** Serves one call of BrokerPeer.Forward. */
export function serveForward(options: ServeForwardOptions): PeerHandler {
  const { brokerId, checkSender, sendDispatch, verbs, count, log } = options;
  const byCase = verbsByCase(verbs);
  const warnSampled = createSampledWarn(log);

  return (call, { certificate, timeoutMs }) => {
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
      const read = readForwarded(bytes, { brokerId, checkSender, certificate }, byCase);
      if ('why' in read) {
        const { outcome, why } = read;
        count(outcome);
        warnSampled({ peer: call.peer, why }, 'a message of another broker was refused');
        call.end(statusOf(outcome), why);
        return;
      }
      const { requestId } = read;
      const sent = sendDispatch(read, timeoutMs);
      if (sent.kind === 'refused') refuse(requestId, sent);
      else waitFor(requestId, sent.ticket);
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
      return { outcome: 'timeout', ...dispatchTimeout };
    case 'disconnected':
      return { outcome: 'disconnected', ...hostDisconnected };
    case 'stopping':
      return { outcome: 'stopping', ...brokerStopping };
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
  const refusal = { case: 'refusal', value: peerRefusal(body.value) } as const;
  return toBinary(ForwardResponseSchema, create(ForwardResponseSchema, { requestId, body: refusal }));
}
