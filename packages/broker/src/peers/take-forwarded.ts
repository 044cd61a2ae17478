import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { type ForwardRequest, ForwardRequestSchema, ForwardResponseSchema, type Verb } from '@coold/proto';
import { createTally, type Logger } from '@coold/runtime';
import type { AgentCall, CallEvents } from '../agent-call.ts';
import { grpcStatus } from '../grpc-status.ts';
import type { Park, Refused } from '../park.ts';
import type { Outcome, Ticket } from '../pending.ts';
import type { DispatchOutcome } from '../record-dispatches.ts';
import { type DispatchRequest, maxHostIdLength, requestIdExpected, requestIdPattern } from '../router.ts';

/** What became of commands that other brokers sent here. */
export type TakenOutcome = 'answered' | 'misled' | 'malformed' | DispatchOutcome;

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
  const byCase = new Map([...verbs.values()].map(verb => [verb.commandCase, verb]));
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
      const read = readForwarded(bytes, brokerId, byCase);
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

interface NotTaken {
  outcome: 'misled' | 'malformed';
  why: string;
}

function readForwarded(
  bytes: Buffer,
  brokerId: string,
  byCase: ReadonlyMap<string, Verb>,
): DispatchRequest | NotTaken {
  const request = decode(bytes);
  if (request === undefined) return { outcome: 'malformed', why: 'not a ForwardRequest' };
  const misled = misledBy(request, brokerId);
  if (misled !== undefined) return { outcome: 'misled', why: misled };
  const read = readRequest(request, byCase);
  return typeof read === 'string' ? { outcome: 'malformed', why: read } : read;
}

/** Whether a request is not for this broker at all: an address that changed hands, or a way that leads back. */
function misledBy({ fromBrokerId, toBrokerId }: ForwardRequest, brokerId: string): string | undefined {
  if (fromBrokerId === brokerId) return `broker ${brokerId} was led to itself`;
  return toBrokerId === brokerId ? undefined : `this is broker ${brokerId}, not ${toBrokerId.slice(0, 128)}`;
}

/** The command as one of this broker's own callers would have put it; text: what is wrong with it. */
function readRequest(
  { hostId, command: carried }: ForwardRequest,
  byCase: ReadonlyMap<string, Verb>,
): DispatchRequest | string {
  if (hostId === '' || hostId.length > maxHostIdLength)
    return `host_id: expected text of 1 to ${maxHostIdLength} characters`;
  if (carried === undefined) return 'command: expected one';
  const { requestId, command, stream } = carried;
  if (!requestIdPattern.test(requestId)) return `command.request_id: ${requestIdExpected}`;
  const verb = command.case === undefined ? undefined : byCase.get(command.case);
  if (verb === undefined || command.value === undefined || stream !== undefined)
    return 'command: expected a verb that this broker knows';
  return { requestId, hostId, verb, message: command.value };
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

function decode(bytes: Buffer): ForwardRequest | undefined {
  try {
    return fromBinary(ForwardRequestSchema, bytes);
  } catch {
    return undefined;
  }
}
