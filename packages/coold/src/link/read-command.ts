import { fromBinary } from '@bufbuild/protobuf';
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import { type ServerMsg, ServerMsgSchema } from '@coold/proto';

/** A frame of the broker: a command, or one from a program that numbers commands differently. */
export type ReadCommand =
  | { kind: 'command'; message: ServerMsg }
  /** From another dialect: must not be executed. `field` is its field number in ServerMsg. */
  | { kind: 'foreign'; requestId: string; field: number };

/** Fields added by a later schema have at least this number (docs/contract.md §1); every lower field is known. */
const firstAddedField = 200;

/**
 * Parses a frame of the broker. Upstream's programs use the same package and schema number with other commands under
 * our field numbers: `images.pull` in place of list_containers, `containers.create` in place of build. Nothing in the
 * handshake distinguishes them; a command body that does not fit does.
 *
 * @throws Error when the frame is no ServerMsg at all
 */
export function readCommand(bytes: Uint8Array): ReadCommand {
  let message: ServerMsg;
  try {
    message = fromBinary(ServerMsgSchema, bytes);
  } catch (error) {
    const envelope = readEnvelope(bytes);
    if (envelope === undefined) throw error;
    return { kind: 'foreign', ...envelope };
  }
  const { command, requestId } = message;
  if (command.case === undefined) return { kind: 'command', message };
  const isForeign = command.value.$unknown?.some(({ no }) => no < firstAddedField) ?? false;
  if (!isForeign) return { kind: 'command', message };
  return { kind: 'foreign', requestId, field: ServerMsgSchema.field[command.case].number };
}

/** Returns the request id and the command's field number of a frame whose command cannot be parsed. */
function readEnvelope(bytes: Uint8Array): { requestId: string; field: number } | undefined {
  const reader = new BinaryReader(bytes);
  let requestId: string | undefined;
  let field: number | undefined;
  try {
    while (reader.pos < reader.len) {
      const [number, wireType] = reader.tag();
      if (wireType !== WireType.LengthDelimited) reader.skip(wireType, number);
      else if (number === ServerMsgSchema.field.requestId.number) requestId = reader.string();
      else {
        reader.skip(wireType, number);
        field = number;
      }
    }
  } catch {
    return undefined;
  }
  return requestId === undefined || field === undefined ? undefined : { requestId, field };
}
