import { fromBinary } from '@bufbuild/protobuf';
import {
  type ForwardRequest,
  ForwardRequestSchema,
  requestIdOf,
  type ServerMsg,
  type Verb,
} from '@coold/proto';
import {
  buildIdExpected,
  buildIdPattern,
  type DispatchRequest,
  maxHostIdLength,
  requestIdExpected,
  requestIdPattern,
} from '../../hosts/router.ts';
import { type RefusedRequest, refuseSender, type SenderChecks } from '../link/refuse-sender.ts';

// Reads the commands that another broker sends, with the checks of a caller's body. Pure.

/** A command that another broker forwards, and whose answer it wants as a stream. */
export interface ForwardedStream extends Omit<DispatchRequest, 'verb' | 'message'> {
  /** The name of the stream at the other broker. */
  name: string;
  /** What needs the lowest schema that the host must speak. */
  verb: Pick<Verb, 'name' | 'schema'>;
  command: ServerMsg['command'];
  /** How many bytes the host may send at first. */
  credit: bigint;
}

/** Returns the verbs by the case of the command that carries them. */
export function verbsByCase(verbs: ReadonlyMap<string, Verb>): ReadonlyMap<string, Verb> {
  return new Map([...verbs.values()].map(verb => [verb.commandCase, verb]));
}

/** Reads a command whose answer is wanted as a whole. */
export function readForwarded(
  bytes: Buffer,
  checks: SenderChecks,
  byCase: ReadonlyMap<string, Verb>,
): DispatchRequest | RefusedRequest {
  const read = readCarried(bytes, checks);
  if ('outcome' in read) return read;
  const { requestId, command, stream } = read.command;
  if (!requestIdPattern.test(requestId)) return malformed(`command.request_id: ${requestIdExpected}`);
  const verb = command.case === undefined ? undefined : byCase.get(command.case);
  if (verb === undefined || command.value === undefined || stream !== undefined) return unknownVerb;
  return { requestId, hostId: read.hostId, verb, message: command.value };
}

/** The progress of a build is asked for in the same way as the stream of a verb. */
const buildEvents = { name: 'build events', schema: 2 };

/** Reads a command whose answer is wanted as a stream. */
export function readForwardedStream(
  bytes: Buffer,
  checks: SenderChecks,
  byCase: ReadonlyMap<string, Verb>,
): ForwardedStream | RefusedRequest {
  const read = readCarried(bytes, checks);
  if ('outcome' in read) return read;
  const { requestId: name, command, stream } = read.command;
  const requestId = requestIdOf(name);
  if (!requestIdPattern.test(requestId) || name.length > maxNameLength)
    return malformed(`command.request_id: ${requestIdExpected}`);
  if (command.case === undefined || stream === undefined) return unknownVerb;
  const asked = { requestId, name, hostId: read.hostId, command, credit: stream.credit };
  if (command.case === 'buildEvents')
    return buildIdPattern.test(command.value.buildId)
      ? { ...asked, verb: buildEvents }
      : malformed(`command.build_id: ${buildIdExpected}`);
  const verb = byCase.get(command.case);
  if (verb === undefined) return unknownVerb;
  return verb.streams ? { ...asked, verb } : malformed(`command: ${verb.name} does not stream`);
}

/** Reads what every forwarded command has: a sender that may ask, a host and the command itself. */
function readCarried(
  bytes: Buffer,
  checks: SenderChecks,
): { hostId: string; command: ServerMsg } | RefusedRequest {
  const request = decode(bytes);
  if (request === undefined) return malformed('not a ForwardRequest');
  const refused = refuseSender(request, checks);
  if (refused !== undefined) return refused;
  const { hostId, command } = request;
  if (hostId === '' || hostId.length > maxHostIdLength)
    return malformed(`host_id: expected text of 1 to ${maxHostIdLength} characters`);
  return command === undefined ? malformed('command: expected one') : { hostId, command };
}

const unknownVerb = malformed('command: expected a verb that this broker knows');

function malformed(why: string): RefusedRequest {
  return { outcome: 'malformed', why };
}

/** A name is a request id, a mark and a number. */
const maxNameLength = 160;

function decode(bytes: Buffer): ForwardRequest | undefined {
  try {
    return fromBinary(ForwardRequestSchema, bytes);
  } catch {
    return undefined;
  }
}
