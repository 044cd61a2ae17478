import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import {
  type ClientMsg,
  ClientMsgSchema,
  ErrorSchema,
  maxResponseBytes,
  ResponseSchema,
  type ServerMsg,
  ServerMsgSchema,
} from '@coold/proto';
import { createPartsCounter } from './frame-parts.ts';

/** A message of a host with the bytes of memory that it takes, about; undefined: its bytes are none. */
export interface Incoming {
  message: ClientMsg | undefined;
  bytes: number;
}

/**
 * What a message may be made of. 4 MiB can be two million empty ones: reading them held everybody up for 2.6 s and took 312
 * MB. An answer that means something has 30 bytes a part.
 */
const maxParts = 200_000;
const partBytes = 150;
const countParts = createPartsCounter(ClientMsgSchema);

/**
 * Reads a host's message. A Response over a limit is not kept: it becomes the Error 413 that its caller gets
 * (docs/contract.md §1), so that a large answer ends a dispatch and not the stream.
 */
export function readFrame(bytes: Uint8Array): Incoming {
  try {
    const parts = bytes.length <= maxResponseBytes ? countParts(bytes, maxParts) : 0;
    if (bytes.length <= maxResponseBytes && parts <= maxParts)
      return { message: fromBinary(ClientMsgSchema, bytes), bytes: bytes.length + parts * partBytes };
    const message =
      parts > maxParts
        ? `answer of more than ${maxParts} parts`
        : `answer of ${bytes.length} bytes is over the limit of ${maxResponseBytes}`;
    const error = create(ErrorSchema, { code: 413, message });
    const response = create(ResponseSchema, {
      requestId: requestIdOf(bytes),
      body: { case: 'error', value: error },
    });
    return { message: create(ClientMsgSchema, { payload: { case: 'response', value: response } }), bytes: 0 };
  } catch {
    // Told apart here: a library that finds a message unreadable ends the stream without a word to us.
    return { message: undefined, bytes: bytes.length };
  }
}

export function writeFrame(message: ServerMsg): Uint8Array {
  return toBinary(ServerMsgSchema, message);
}

/** The request_id inside a ClientMsg that holds a Response, without decoding the rest; empty when there is none. */
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
