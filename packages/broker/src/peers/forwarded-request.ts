import { fromBinary } from '@bufbuild/protobuf';
import {
  type ForwardRequest,
  ForwardRequestSchema,
  requestIdOf,
  type ServerMsg,
  type Verb,
} from '@coold/proto';
import { type DispatchRequest, maxHostIdLength, requestIdExpected, requestIdPattern } from '../router.ts';

// What another broker sends, checked as a caller's body would be. Pure.

/** A command that another broker has forwarded. */
export interface Forwarded extends DispatchRequest {
  /** What the other broker calls it: the request id, or of a stream its name. */
  name: string;
  command: ServerMsg['command'];
  /** Bytes that the host of a stream may send at first. */
  credit: bigint;
}

export interface NotTaken {
  outcome: 'misled' | 'malformed';
  why: string;
}

/** Verbs by the case of the command that carries them. */
export function verbsByCase(verbs: ReadonlyMap<string, Verb>): ReadonlyMap<string, Verb> {
  return new Map([...verbs.values()].map(verb => [verb.commandCase, verb]));
}

/** @param as how the answer is wanted */
export function readForwarded(
  bytes: Buffer,
  brokerId: string,
  byCase: ReadonlyMap<string, Verb>,
  as: 'whole' | 'stream',
): Forwarded | NotTaken {
  const request = decode(bytes);
  if (request === undefined) return { outcome: 'malformed', why: 'not a ForwardRequest' };
  const misled = misledBy(request, brokerId);
  if (misled !== undefined) return { outcome: 'misled', why: misled };
  const read = readRequest(request, byCase, as);
  return typeof read === 'string' ? { outcome: 'malformed', why: read } : read;
}

/** Whether a request is not for this broker at all: an address that changed hands, or a way that leads back. */
function misledBy({ fromBrokerId, toBrokerId }: ForwardRequest, brokerId: string): string | undefined {
  if (fromBrokerId === brokerId) return `broker ${brokerId} was led to itself`;
  return toBrokerId === brokerId ? undefined : `this is broker ${brokerId}, not ${toBrokerId.slice(0, 128)}`;
}

/** Text: what is wrong with it. */
function readRequest(
  { hostId, command: carried }: ForwardRequest,
  byCase: ReadonlyMap<string, Verb>,
  as: 'whole' | 'stream',
): Forwarded | string {
  if (hostId === '' || hostId.length > maxHostIdLength)
    return `host_id: expected text of 1 to ${maxHostIdLength} characters`;
  if (carried === undefined) return 'command: expected one';
  const { requestId: name, command, stream } = carried;
  const requestId = as === 'stream' ? requestIdOf(name) : name;
  if (!requestIdPattern.test(requestId) || name.length > maxNameLength)
    return `command.request_id: ${requestIdExpected}`;
  const verb = command.case === undefined ? undefined : byCase.get(command.case);
  if (verb === undefined || command.value === undefined || (stream === undefined) !== (as === 'whole'))
    return 'command: expected a verb that this broker knows';
  if (as === 'stream' && !verb.streams) return `command: ${verb.name} does not stream`;
  return { requestId, name, hostId, verb, message: command.value, command, credit: stream?.credit ?? 0n };
}

/** A request id, a mark and a number. */
const maxNameLength = 160;

function decode(bytes: Buffer): ForwardRequest | undefined {
  try {
    return fromBinary(ForwardRequestSchema, bytes);
  } catch {
    return undefined;
  }
}
