import { create } from '@bufbuild/protobuf';
import {
  brokerFull,
  brokerStopping,
  type Failure,
  hostNotConnected,
  hostNotReading,
  requestIdInFlight,
} from '@coold/errors';
import { type ServerMsg, ServerMsgSchema } from '@coold/proto';
import type { Hosts } from '../hosts/hosts.ts';
import { type DispatchRequest, refuseSchema } from '../hosts/router.ts';
import type { Claim, Pending, Ticket } from './pending.ts';
import type { DispatchOutcome } from './record-dispatches.ts';

/** Why a dispatch failed, before or after it was sent, for its caller and for the metrics. */
export interface Refused extends Failure {
  kind: 'refused';
  outcome: DispatchOutcome;
}

/** `refusal` resolves, instead of the ticket's outcome, when another broker refuses the dispatch. */
export type SentDispatch = { kind: 'sent'; ticket: Ticket; refusal?: Promise<Refused> } | Refused;

/**
 * Sends a command to a host of this broker, and returns the ticket of the parked request that waits for its answer. If
 * an earlier dispatch of the same question left its answer, nothing is sent and the ticket has that answer.
 *
 * @param timeoutMs how long the caller waits, in ms, if that is shorter than the broker's own timeout
 */
export type SendDispatch = (request: DispatchRequest, timeoutMs?: number) => SentDispatch;

export function createSendToHost({
  hosts,
  pending,
}: {
  hosts: Pick<Hosts, 'get'>;
  pending: Pending;
}): SendDispatch {
  return (request, timeoutMs) => {
    const { requestId, hostId, verb, message } = request;
    const subject = { requestId, hostId, verb: verb.name };
    const landed = pending.takeLanded(subject);
    if (landed !== undefined) return { kind: 'sent', ticket: landed };
    const stream = hosts.get(hostId);
    if (stream === undefined) return refused('not connected', hostNotConnected(hostId));
    const aboveSchema = refuseSchema(verb, stream);
    if (aboveSchema !== undefined) return refused('schema', aboveSchema);
    const patience = { ownMs: verb.deadline?.ofRequest(message), atMostMs: timeoutMs };
    const claim = pending.claim(subject, stream, patience);
    if (claim.kind !== 'claimed') return refuseClaim(claim.kind);
    const { ticket } = claim;
    if (stream.send(commandOf(request))) return { kind: 'sent', ticket };
    ticket.withdraw();
    return refused('unread', hostNotReading);
  };
}

/** Returns the failure for a caller whose request id could not be claimed. */
export function refuseClaim(kind: Exclude<Claim['kind'], 'claimed'>): Refused {
  switch (kind) {
    case 'stopping':
      return refused('stopping', brokerStopping);
    case 'in flight':
      return refused('in flight', requestIdInFlight);
    case 'full':
      return refused('full', brokerFull);
  }
}

/** Returns the message to a host for a request. */
export function commandOf({ requestId, verb, message }: DispatchRequest): ServerMsg {
  // The descriptors guarantee that this case has this message; the compiler cannot infer it.
  const command = { case: verb.commandCase, value: message } as ServerMsg['command'];
  // Assigned afterwards, because `create` visits every field of its argument.
  return Object.assign(create(ServerMsgSchema), { requestId, command });
}

function refused(outcome: DispatchOutcome, why: Failure): Refused {
  return { kind: 'refused', outcome, ...why };
}
