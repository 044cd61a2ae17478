import { create, type Message } from '@bufbuild/protobuf';
import { answerEncoder, type ServerMsg, ServerMsgSchema, type Verb } from '@coold/proto';
import { type Reply, refuse, relay } from './envelope.ts';
import type { Hosts } from './hosts.ts';
import type { Outcome, Pending, Ticket } from './pending.ts';
import { type DispatchRequest, type Route, readDispatch, refuseSchema } from './router.ts';

export interface Dispatched {
  reply: Reply | Promise<Reply>;
  /** Present while a host may have an answer: to be told how the reply fares, so that none is lost with its caller. */
  ticket?: Ticket;
}

/** Laravel's dispatch: a body, and its bytes on the wire, in; the host's answer or our refusal out. */
export type Dispatch = (body: unknown, bytes?: number) => Dispatched;

export function createDispatch(deps: {
  hosts: Hosts;
  pending: Pending;
  routes: ReadonlyMap<string, Route>;
}): Dispatch {
  const { hosts, pending, routes } = deps;
  const encoders = new Map([...routes.values()].map(({ verb }) => [verb, answerEncoder(verb)]));

  return (body, bytes) => {
    const request = readDispatch(body, routes, bytes);
    if ('code' in request) return { reply: refuse(request) };
    const { requestId, hostId, verb } = request;
    const refused = (code: number, message: string, field?: string) => ({
      reply: refuse({ requestId, code, message, field }),
    });
    const subject = { requestId, hostId, verb: verb.name };
    const parked = (ticket: Ticket): Dispatched => ({
      ticket,
      reply: ticket.outcome.then(outcome => conclude(request, outcome, encoders)),
    });

    const landed = pending.takeLanded(subject);
    if (landed !== undefined) return parked(landed);
    const stream = hosts.get(hostId);
    if (stream === undefined) return refused(404, 'host not connected');
    const aboveSchema = refuseSchema(verb, stream);
    if (aboveSchema !== undefined) return refused(501, aboveSchema, 'command.type');

    const claim = pending.claim(subject, stream);
    switch (claim.kind) {
      case 'stopping':
        return refused(503, 'broker is stopping');
      case 'in flight':
        return refused(409, 'request_id already in flight', 'request_id');
      case 'full':
        return refused(503, 'broker at pending-dispatch capacity');
      case 'claimed':
        if (stream.send(commandOf(request))) return parked(claim.ticket);
        claim.ticket.withdraw();
        return refused(503, 'host does not read its stream');
    }
  };
}

/** A request as its host is sent it. */
export function commandOf({ requestId, verb, message }: DispatchRequest) {
  // The descriptors say that this case takes this message; the compiler cannot follow them.
  const command = { case: verb.commandCase, value: message } as ServerMsg['command'];
  return create(ServerMsgSchema, { requestId, command });
}

type Encoders = ReadonlyMap<Verb, (answer: Message | undefined) => unknown>;

function conclude({ requestId, hostId, verb }: DispatchRequest, outcome: Outcome, encoders: Encoders): Reply {
  switch (outcome.kind) {
    case 'timeout':
      return refuse({ requestId, code: 504, message: 'dispatch timeout' });
    case 'disconnected':
      return refuse({ requestId, code: 503, message: 'host disconnected' });
    case 'stopping':
      return refuse({ requestId, code: 503, message: 'broker is stopping' });
    case 'answered': {
      const { body } = outcome.response;
      if (body.case === 'error') {
        const { code, message, field } = body.value;
        return relay({ requestId, code, message, field: field === '' ? undefined : field });
      }
      if (body.case !== verb.commandCase) {
        const answered = body.case ?? 'nothing it knows';
        return refuse({
          requestId,
          code: 500,
          message: `host ${hostId} answered ${verb.name} with ${answered}`,
        });
      }
      const encode = encoders.get(verb) ?? answerEncoder(verb);
      return {
        status: 200,
        envelope: { request_id: requestId, status: 'ok', data: encode(body.value) },
      };
    }
  }
}
