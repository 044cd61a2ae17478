import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import {
  type ClientMsg,
  ClientMsgSchema,
  ErrorSchema,
  maxResponseBytes,
  type Response,
  ResponseSchema,
  type ServerMsg,
  ServerMsgSchema,
} from '@coold/proto';
import { createPartsCounter } from './frame-parts.ts';

/** A message of a host. */
export interface Incoming {
  /** Undefined when the bytes are no message. */
  message: ClientMsg | undefined;
  /** The approximate memory that it takes, in bytes. */
  bytes: number;
  /** An answer in another dialect; `message` is that answer without a body. */
  isForeign?: true;
}

/** Fields added by a later schema have at least this number (docs/contract.md §1); every lower field is known. */
const firstAddedField = 200;

/**
 * The most parts of a message. 4 MiB can be two million empty ones: decoding them blocked everybody for 2.6 s and took
 * 312 MB. Real answers have 30 bytes per part.
 */
const maxParts = 200_000;
const partBytes = 150;
const countParts = createPartsCounter(ClientMsgSchema);

/**
 * Decodes a host's message. A Response over a limit is not kept: it becomes the Error 413 that its caller gets
 * (docs/contract.md §1), so that a large answer ends a dispatch and not the stream.
 */
export function readFrame(bytes: Uint8Array): Incoming {
  try {
    const parts = bytes.length <= maxResponseBytes ? countParts(bytes, maxParts) : 0;
    if (bytes.length <= maxResponseBytes && parts <= maxParts)
      return known(fromBinary(ClientMsgSchema, bytes), bytes.length + parts * partBytes);
    const message =
      parts > maxParts
        ? `answer of more than ${maxParts} parts`
        : `answer of ${bytes.length} bytes is over the limit of ${maxResponseBytes}`;
    const error = create(ErrorSchema, { code: 413, message });
    const body = { case: 'error' as const, value: error };
    return { message: answer(create(ResponseSchema, { requestId: requestIdOf(bytes), body })), bytes: 0 };
  } catch {
    // Detected here, because a gRPC library that cannot decode a message ends the stream without telling us.
    const requestId = foreignRequestId(bytes);
    return requestId === undefined ? { message: undefined, bytes: bytes.length } : foreign(requestId);
  }
}

/** A decoded message. It is of another dialect when it has fields, or a body, that schema 1 does not have. */
function known(message: ClientMsg, bytes: number): Incoming {
  if (message.payload.case !== 'response') return { message, bytes };
  const { requestId, body, $unknown } = message.payload.value;
  const unknown = body.case === undefined ? $unknown : body.value.$unknown;
  return unknown?.some(({ no }) => no < firstAddedField) ? foreign(requestId) : { message, bytes };
}

/** Upstream's programs use another dialect under the same package and schema number; only the content tells. */
function foreign(requestId: string): Incoming {
  return { message: answer(create(ResponseSchema, { requestId })), bytes: 0, isForeign: true };
}

function answer(response: Response): ClientMsg {
  return create(ClientMsgSchema, { payload: { case: 'response', value: response } });
}

/** Returns the request id of a Response whose body cannot be decoded; undefined when the bytes are not even that. */
function foreignRequestId(bytes: Uint8Array): string | undefined {
  try {
    const id = requestIdOf(bytes);
    return id === '' ? undefined : id;
  } catch {
    return undefined;
  }
}

export function writeFrame(message: ServerMsg): Uint8Array {
  return toBinary(ServerMsgSchema, message);
}

/**
 * Returns the request_id inside a ClientMsg that holds a Response, without decoding the rest; empty when there is none.
 */
function requestIdOf(bytes: Uint8Array): string {
  const response = lengthDelimited(bytes, ClientMsgSchema.field.response.number);
  const id =
    response === undefined ? undefined : lengthDelimited(response, ResponseSchema.field.requestId.number);
  return id === undefined ? '' : Buffer.from(id).toString('utf8');
}

function lengthDelimited(bytes: Uint8Array, wanted: number): Uint8Array | undefined {
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [number, wireType] = reader.tag();
    if (number === wanted && wireType === WireType.LengthDelimited) return reader.bytes();
    reader.skip(wireType, number);
  }
  return undefined;
}
