// Schema 1 in a protobuf library that this project does not use.
import { readFileSync } from 'node:fs';
import protobuf from 'protobufjs';

/**
 * A message as an object: names as in the contract, 64-bit numbers as numbers; `payload`, `command` or `body` names the
 * member that is set.
 */
export type Message = Record<string, unknown>;

export type MessageName = 'ClientMsg' | 'ServerMsg';

export const schemaText = readFileSync(new URL('schema-1.proto', import.meta.url), 'utf8');
const { root } = protobuf.parse(schemaText, { keepCase: true });

/** The path of the service's one method. */
export const streamPath = '/coolify.agent.v1.Agent/Stream';

/** Returns a message or enum of schema 1. */
export function schemaOf(name: string): protobuf.Type | protobuf.Enum {
  return root.lookupTypeOrEnum(`coolify.agent.v1.${name}`);
}

/** @throws Error when the object is not such a message */
export function encode(name: MessageName, message: Message): Buffer {
  const type = root.lookupType(`coolify.agent.v1.${name}`);
  return Buffer.from(type.encode(type.fromObject(message)).finish());
}

/** @throws Error when the bytes are not such a message */
export function decode(name: MessageName, bytes: Uint8Array): Message {
  const type = root.lookupType(`coolify.agent.v1.${name}`);
  return type.toObject(type.decode(bytes), { longs: Number, enums: String, defaults: true, oneofs: true });
}

/** Returns the bytes of a field that schema 1 does not have. */
export function strangeField(number: number, content: Uint8Array): Buffer {
  return Buffer.from(
    protobuf.Writer.create()
      .uint32(((number << 3) | 2) >>> 0)
      .bytes(content)
      .finish(),
  );
}
