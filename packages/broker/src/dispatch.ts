import { create, type Message } from '@bufbuild/protobuf';
import { answerEncoder, type ServerMsg, ServerMsgSchema, type Verb } from '@coold/proto';
import { type Reply, refuse, relay } from './envelope.ts';
import type { Hosts } from './hosts.ts';
import type { Outcome, Pending, Ticket } from './pending.ts';
import type { DispatchOutcome, RecordDispatch } from './record-dispatches.ts';
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
  record: RecordDispatch;
}): Dispatch {
  const { hosts, pending, routes, record } = deps;
  const encoders = new Map([...routes.values()].map(({ verb }) => [verb, answerEncoder(verb)]));

  return (body, bytes) => {
    const startedAt = performance.now();
    const request = readDispatch(body, routes, bytes);
    if ('code' in request) {
      const { requestId, code } = request;
      record({ requestId, hostId: '', verb: 'none', outcome: 'invalid', code, durationMs: 0 });
      return { reply: refuse(request) };
    }
    const { requestId, hostId, verb } = request;
    const subject = { requestId, hostId, verb: verb.name };
    const over = (outcome: DispatchOutcome, code: number) =>
      record({ ...subject, outcome, code, durationMs: performance.now() - startedAt });
    const refused = (outcome: DispatchOutcome, code: number, message: string, field?: string) => {
      over(outcome, code);
      return { reply: refuse({ requestId, code, message, field }) };
    };
    const parked = (ticket: Ticket): Dispatched => {
      let isOver = false;
      return {
        ticket: {
          ...ticket,
          undelivered() {
            if (!isOver) over('caller left', 499);
            isOver = true;
            ticket.undelivered();
          },
        },
        reply: ticket.outcome.then(outcome => {
          const concluded = conclude(request, outcome, encoders);
          if (!isOver) over(concluded.outcome, concluded.code);
          isOver = true;
          return concluded.reply;
        }),
      };
    };

    const landed = pending.takeLanded(subject);
    if (landed !== undefined) return parked(landed);
    const stream = hosts.get(hostId);
    if (stream === undefined) return refused('not connected', 404, 'host not connected');
    const aboveSchema = refuseSchema(verb, stream);
    if (aboveSchema !== undefined) return refused('schema', 501, aboveSchema, 'command.type');

    const claim = pending.claim(subject, stream);
    switch (claim.kind) {
      case 'stopping':
        return refused('stopping', 503, 'broker is stopping');
      case 'in flight':
        return refused('in flight', 409, 'request_id already in flight', 'request_id');
      case 'full':
        return refused('full', 503, 'broker at pending-dispatch capacity');
      case 'claimed':
        if (stream.send(commandOf(request))) return parked(claim.ticket);
        claim.ticket.withdraw();
        return refused('unread', 503, 'host does not read its stream');
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

interface Concluded {
  reply: Reply;
  outcome: DispatchOutcome;
  code: number;
}

function conclude(request: DispatchRequest, outcome: Outcome, encoders: Encoders): Concluded {
  const { requestId, hostId, verb } = request;
  const failed = (how: DispatchOutcome, code: number, message: string): Concluded => ({
    ...{ outcome: how, code },
    reply: refuse({ requestId, code, message }),
  });
  switch (outcome.kind) {
    case 'timeout':
      return failed('timeout', 504, 'dispatch timeout');
    case 'disconnected':
      return failed('disconnected', 503, 'host disconnected');
    case 'stopping':
      return failed('stopping', 503, 'broker is stopping');
    case 'answered': {
      const { body } = outcome.response;
      if (body.case === 'error') {
        const { code, message, field } = body.value;
        const reply = relay({ requestId, code, message, field: field === '' ? undefined : field });
        return { reply, outcome: 'host error', code };
      }
      if (body.case !== verb.commandCase) {
        const answered = body.case ?? 'nothing it knows';
        return failed('bad answer', 500, `host ${hostId} answered ${verb.name} with ${answered}`);
      }
      const encode = encoders.get(verb) ?? answerEncoder(verb);
      const envelope = { request_id: requestId, status: 'ok' as const, data: encode(body.value) };
      return { reply: { status: 200, envelope }, outcome: 'ok', code: 200 };
    }
  }
}
