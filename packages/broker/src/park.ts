import { create } from '@bufbuild/protobuf';
import { type ServerMsg, ServerMsgSchema } from '@coold/proto';
import type { Hosts } from './hosts.ts';
import type { Claim, Pending, Ticket } from './pending.ts';
import type { DispatchOutcome } from './record-dispatches.ts';
import { type DispatchRequest, refuseSchema } from './router.ts';

/** Why a dispatch came to nothing, before or after it was sent; for the caller and for the metrics. */
export interface Refused {
  kind: 'refused';
  outcome: DispatchOutcome;
  code: number;
  message: string;
  field?: string | undefined;
}

/** `refusal`: of another broker, instead of the ticket's outcome. */
export type Parking = { kind: 'parked'; ticket: Ticket; refusal?: Promise<Refused> } | Refused;

/**
 * Sends a command to a host of this very broker and parks its caller; or finds the answer that an earlier dispatch of the
 * same question left behind.
 *
 * @param timeoutMs of a caller who does not wait as long as the broker would
 */
export type Park = (request: DispatchRequest, timeoutMs?: number) => Parking;

export function createPark({ hosts, pending }: { hosts: Pick<Hosts, 'get'>; pending: Pending }): Park {
  return (request, timeoutMs) => {
    const { requestId, hostId, verb } = request;
    const subject = { requestId, hostId, verb: verb.name };
    const landed = pending.takeLanded(subject);
    if (landed !== undefined) return { kind: 'parked', ticket: landed };
    const stream = hosts.get(hostId);
    if (stream === undefined) return refused('not connected', 404, 'host not connected');
    const aboveSchema = refuseSchema(verb, stream);
    if (aboveSchema !== undefined) return refused('schema', 501, aboveSchema, 'command.type');
    const claim = pending.claim(subject, stream, timeoutMs);
    if (claim.kind !== 'claimed') return refuseClaim(claim.kind);
    const { ticket } = claim;
    if (stream.send(commandOf(request))) return { kind: 'parked', ticket };
    ticket.withdraw();
    return refused('unread', 503, 'host does not read its stream');
  };
}

/** What a caller is told whose request id cannot be had. */
export function refuseClaim(kind: Exclude<Claim['kind'], 'claimed'>): Refused {
  switch (kind) {
    case 'stopping':
      return refused('stopping', 503, 'broker is stopping');
    case 'in flight':
      return refused('in flight', 409, 'request_id already in flight', 'request_id');
    case 'full':
      return refused('full', 503, 'broker at pending-dispatch capacity');
  }
}

/** A request as its host is sent it. */
export function commandOf({ requestId, verb, message }: DispatchRequest): ServerMsg {
  // The descriptors say that this case takes this message; the compiler cannot follow them.
  const command = { case: verb.commandCase, value: message } as ServerMsg['command'];
  // Put in afterwards: what `create` is given it looks through field by field.
  return Object.assign(create(ServerMsgSchema), { requestId, command });
}

function refused(outcome: DispatchOutcome, code: number, message: string, field?: string): Refused {
  return { kind: 'refused', outcome, code, message, field };
}
