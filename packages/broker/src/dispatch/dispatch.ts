import type { Message } from '@bufbuild/protobuf';
import { brokerStopping, dispatchTimeout, type Failure, failure, hostDisconnected } from '@coold/errors';
import { answerEncoder, type Verb } from '@coold/proto';
import { type Reply, refuse, relay } from '../hosts/envelope.ts';
import { hostFailure } from '../hosts/host-failure.ts';
import type { Hosts } from '../hosts/hosts.ts';
import { type DispatchRequest, type Route, readDispatch } from '../hosts/router.ts';
import type { Outcome, Pending, Ticket } from './pending.ts';
import type { DispatchOutcome, RecordDispatch } from './record-dispatches.ts';
import type { SendToBroker } from './send-to-broker.ts';
import { createSendToHost, type Refused } from './send-to-host.ts';

export interface Dispatched {
  /**
   * Calls `tell` with the reply as soon as it is known, which may be at once. Calls `fail` instead when the host's
   * answer cannot be written as JSON.
   */
  whenReplied(tell: (reply: Reply) => void, fail: (error: unknown) => void): void;
  readonly reply: Promise<Reply>;
  /**
   * Present when a host was sent the command. The lane reports here whether the reply was sent, so that no answer is
   * lost.
   */
  ticket?: Pick<Ticket, 'delivered' | 'undelivered'>;
}

/**
 * Handles one dispatch of Laravel's.
 *
 * @param bytes the length of the body on the wire
 * @returns the reply: the host's answer or a refusal
 */
export type Dispatch = (body: unknown, bytes?: number) => Dispatched;

export function createDispatch(deps: {
  hosts: Pick<Hosts, 'get'>;
  pending: Pending;
  routes: ReadonlyMap<string, Route>;
  record: RecordDispatch;
  /** Present when there are other brokers. */
  sendToBroker?: SendToBroker | undefined;
}): Dispatch {
  const { hosts, pending, routes, record, sendToBroker } = deps;
  const sendToHost = createSendToHost({ hosts, pending });
  const encoders = new Map([...routes.values()].map(({ verb }) => [verb, answerEncoder(verb)]));

  return (body, bytes) => {
    const startedAt = performance.now();
    const request = readDispatch(body, routes, bytes);
    if ('code' in request) {
      const { requestId, code } = request;
      record({ requestId, hostId: '', verb: 'none', outcome: 'invalid', code, durationMs: 0 });
      return new RefusedDispatch(refuse(request));
    }
    const { requestId, hostId, verb } = request;
    const recordEnd: RecordEnd = (outcome, code) =>
      record({
        requestId,
        hostId,
        verb: verb.name,
        outcome,
        code,
        durationMs: performance.now() - startedAt,
      });
    let sent = sendToHost(request);
    if (sent.kind === 'refused' && sent.outcome === 'not connected' && sendToBroker !== undefined)
      sent = sendToBroker(request);
    if (sent.kind === 'sent') {
      const parked = new ParkedDispatch(request, sent.ticket, encoders, recordEnd);
      // Replaces the outcome: another broker has refused.
      void sent.refusal?.then(refused => parked.refused(refused));
      return parked;
    }
    recordEnd(sent.outcome, sent.code);
    return new RefusedDispatch(refuse({ requestId, ...sent }));
  };
}

type RecordEnd = (outcome: DispatchOutcome, code: number) => void;

/** A dispatch that was sent to no host. */
class RefusedDispatch implements Dispatched {
  readonly #reply: Reply;

  constructor(reply: Reply) {
    this.#reply = reply;
  }

  get reply(): Promise<Reply> {
    return Promise.resolve(this.#reply);
  }

  whenReplied(tell: (reply: Reply) => void): void {
    tell(this.#reply);
  }
}

/**
 * A dispatch that waits for its answer. Its first end counts and is recorded: the answer, a refusal, or the caller's
 * leaving.
 */
class ParkedDispatch implements Dispatched {
  readonly #request: DispatchRequest;
  readonly #ticket: Ticket;
  readonly #encoders: Encoders;
  readonly #recordEnd: RecordEnd;
  #isOver = false;
  #end: { reply: Reply } | { error: unknown } | undefined;
  #told: { tell: (reply: Reply) => void; fail: (error: unknown) => void } | undefined;

  constructor(request: DispatchRequest, ticket: Ticket, encoders: Encoders, recordEnd: RecordEnd) {
    this.#request = request;
    this.#ticket = ticket;
    this.#encoders = encoders;
    this.#recordEnd = recordEnd;
    ticket.whenSettled(outcome => this.#conclude(outcome));
  }

  get ticket(): Pick<Ticket, 'delivered' | 'undelivered'> {
    return this;
  }

  get reply(): Promise<Reply> {
    return new Promise((resolve, reject) => this.whenReplied(resolve, reject));
  }

  whenReplied(tell: (reply: Reply) => void, fail: (error: unknown) => void): void {
    this.#told = { tell, fail };
    this.#say();
  }

  delivered(): void {
    this.#ticket.delivered();
  }

  undelivered(): void {
    if (!this.#isOver) this.#recordEnd('caller left', 499);
    this.#isOver = true;
    this.#ticket.undelivered();
  }

  refused(refused: Refused): void {
    this.#tell(failedDispatch(this.#request, refused));
  }

  #conclude(outcome: Outcome): void {
    let concluded: Concluded;
    try {
      concluded = conclude(this.#request, outcome, this.#encoders);
    } catch (error) {
      this.#end ??= { error };
      return void this.#say();
    }
    this.#tell(concluded);
  }

  #tell({ reply, outcome, code }: Concluded): void {
    if (!this.#isOver) this.#recordEnd(outcome, code);
    this.#isOver = true;
    this.#end ??= { reply };
    this.#say();
  }

  /** Passes the end to the waiting caller, once. */
  #say(): void {
    const [end, told] = [this.#end, this.#told];
    if (end === undefined || told === undefined) return;
    this.#told = undefined;
    if ('reply' in end) told.tell(end.reply);
    else told.fail(end.error);
  }
}

type Encoders = ReadonlyMap<Verb, (answer: Message | undefined) => unknown>;

interface Concluded {
  reply: Reply;
  outcome: DispatchOutcome;
  code: number;
}

function failedDispatch(
  { requestId }: DispatchRequest,
  { outcome, ...why }: Omit<Refused, 'kind'>,
): Concluded {
  return { outcome, code: why.code, reply: refuse({ requestId, ...why }) };
}

function conclude(request: DispatchRequest, outcome: Outcome, encoders: Encoders): Concluded {
  const { requestId, hostId, verb } = request;
  const failed = (how: DispatchOutcome, why: Failure) => failedDispatch(request, { outcome: how, ...why });
  switch (outcome.kind) {
    case 'timeout':
      return failed('timeout', dispatchTimeout);
    case 'disconnected':
      return failed('disconnected', hostDisconnected);
    case 'stopping':
      return failed('stopping', brokerStopping);
    case 'answered': {
      const { body } = outcome.response;
      if (body.case === 'error') {
        const told = hostFailure(body.value);
        return { reply: relay({ requestId, ...told }), outcome: 'host error', code: told.code };
      }
      if (body.case !== verb.commandCase) {
        const answered =
          body.case ?? 'a message that cannot be read: it seems to speak another dialect (flux)';
        const message = `host ${hostId} answered ${verb.name} with ${answered}`;
        return failed('bad answer', failure('host_answer_unknown', message));
      }
      const encode = encoders.get(verb) ?? answerEncoder(verb);
      const envelope = { request_id: requestId, status: 'ok' as const, data: encode(body.value) };
      return { reply: { status: 200, envelope }, outcome: 'ok', code: 200 };
    }
  }
}
