import type { Message } from '@bufbuild/protobuf';
import { answerEncoder, type Verb } from '@coold/proto';
import { type Reply, refuse, relay } from './envelope.ts';
import type { Hosts } from './hosts.ts';
import { createPark, type Refused } from './park.ts';
import type { ParkAway } from './park-away.ts';
import type { Outcome, Pending, Ticket } from './pending.ts';
import type { DispatchOutcome, RecordDispatch } from './record-dispatches.ts';
import { type DispatchRequest, type Route, readDispatch } from './router.ts';

export interface Dispatched {
  reply: Reply | Promise<Reply>;
  /** Present while a host may have an answer: to be told how the reply fares, so that none is lost with its caller. */
  ticket?: Ticket;
}

/** Laravel's dispatch: a body, and its bytes on the wire, in; the host's answer or our refusal out. */
export type Dispatch = (body: unknown, bytes?: number) => Dispatched;

export function createDispatch(deps: {
  hosts: Pick<Hosts, 'get'>;
  pending: Pending;
  routes: ReadonlyMap<string, Route>;
  record: RecordDispatch;
  /** Where more brokers than this one are. */
  parkAway?: ParkAway | undefined;
}): Dispatch {
  const { hosts, pending, routes, record, parkAway } = deps;
  const park = createPark({ hosts, pending });
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
    const parked = (ticket: Ticket, refusal: Promise<Refused> | undefined): Dispatched => {
      let isOver = false;
      const tell = (concluded: Concluded) => {
        if (!isOver) over(concluded.outcome, concluded.code);
        isOver = true;
        return concluded.reply;
      };
      const answered = ticket.outcome.then(outcome => tell(conclude(request, outcome, encoders)));
      return {
        ticket: {
          ...ticket,
          undelivered() {
            if (!isOver) over('caller left', 499);
            isOver = true;
            ticket.undelivered();
          },
        },
        reply:
          refusal === undefined
            ? answered
            : Promise.race([answered, refusal.then(refused => tell(failure(request, refused)))]),
      };
    };

    let parking = park(request);
    if (parking.kind === 'refused' && parking.outcome === 'not connected' && parkAway !== undefined)
      parking = parkAway(request);
    if (parking.kind === 'parked') return parked(parking.ticket, parking.refusal);
    over(parking.outcome, parking.code);
    return { reply: refuse({ requestId, ...parking }) };
  };
}

type Encoders = ReadonlyMap<Verb, (answer: Message | undefined) => unknown>;

interface Concluded {
  reply: Reply;
  outcome: DispatchOutcome;
  code: number;
}

function failure({ requestId }: DispatchRequest, { outcome, code, message, field }: Refused): Concluded {
  return { outcome, code, reply: refuse({ requestId, code, message, field }) };
}

function conclude(request: DispatchRequest, outcome: Outcome, encoders: Encoders): Concluded {
  const { requestId, hostId, verb } = request;
  const failed = (how: DispatchOutcome, code: number, message: string) =>
    failure(request, { kind: 'refused', outcome: how, code, message });
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
