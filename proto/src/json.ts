import {
  create,
  type DescEnum,
  type DescField,
  type DescMessage,
  getOption,
  type Message,
  ScalarType,
} from '@bufbuild/protobuf';
import { base64Decode, base64Encode } from '@bufbuild/protobuf/wire';
import { json as jsonRules, takes_scalars as takesScalars } from '../gen/coolify/agent/v1/verb_pb.js';
import { FieldError } from './field-error.ts';
import { freeFormCodec } from './free-form.ts';

/**
 * JSON as Laravel sees it (docs/contract.md §2): names in snake_case, 64-bit numbers as JSON numbers, fields without
 * presence always there. Input is strict: no unknown names, no text where a number belongs. But what PHP's json_encode makes of
 * what is empty is understood: a list without entries is an empty object too, and null is an absent field or entry of a map.
 */
export interface JsonCodec {
  /** Message → plain JSON value. */
  encode(message: Message): Record<string, unknown>;
  /** @throws FieldError naming the offending field, dotted and indexed: `mounts[2].target` */
  decode(json: unknown, path?: string): Message;
}

/** One value's two directions. */
export interface ValueCodec {
  encode(value: unknown): unknown;
  decode(json: unknown, path: string): unknown;
  /** null is a value here, and not an absent one. */
  takesNull?: true;
}

/**
 * Compiles a descriptor, once; messages that contain themselves are fine.
 *
 * @throws Error when a field has no such JSON: a mistake in the .proto, found at start.
 */
export function jsonCodec(descriptor: DescMessage): JsonCodec {
  return compile(descriptor, new Map());
}

/** Compiles the encoder of one field's value, for answers whose body is a single field. */
export function fieldEncoder(field: DescField): (value: unknown) => unknown {
  return fieldCodec(field, new Map()).encode;
}

/** Reads a field out of its message; a oneof's member only when it is the one that is set. */
export function fieldValue(message: Message, field: DescField): unknown {
  const properties = message as unknown as Record<string, unknown>;
  if (field.oneof === undefined) return properties[field.localName];
  const selected = properties[field.oneof.localName] as { case?: string; value?: unknown };
  return selected.case === field.localName ? selected.value : undefined;
}

type Cache = Map<DescMessage, JsonCodec>;

function compile(descriptor: DescMessage, cache: Cache): JsonCodec {
  const known = cache.get(descriptor);
  if (known !== undefined) return known;
  const fields: { field: DescField; codec: ValueCodec }[] = [];
  const byName = new Map<string, { field: DescField; codec: ValueCodec }>();
  const codec: JsonCodec = {
    encode(message) {
      const out: Record<string, unknown> = {};
      for (const { field, codec } of fields) {
        const value = fieldValue(message, field);
        if (value !== undefined) out[field.name] = codec.encode(value);
      }
      return out;
    },
    decode(json, path = '') {
      const init: Record<string, unknown> = {};
      for (const [name, value] of entries(json, path)) {
        const at = path === '' ? name : `${path}.${name}`;
        const entry = byName.get(name);
        if (entry === undefined) throw new FieldError(at, 'is not a field of this request');
        const { field, codec } = entry;
        if (value === null && codec.takesNull !== true) continue;
        const decoded = codec.decode(value, at);
        if (field.oneof === undefined) {
          // Of two names for one field, as of one name and its other.
          if (Object.hasOwn(init, field.localName))
            throw new FieldError(at, `means ${field.name}, which is given twice`);
          init[field.localName] = decoded;
        } else if (init[field.oneof.localName] !== undefined)
          throw new FieldError(at, `excludes the other forms of ${field.oneof.name}`);
        else init[field.oneof.localName] = { case: field.localName, value: decoded };
      }
      return create(descriptor, init);
    },
  };
  cache.set(descriptor, codec);
  for (const field of descriptor.fields) {
    const entry = { field, codec: fieldCodec(field, cache) };
    fields.push(entry);
    byName.set(field.name, entry);
    const { also } = getOption(field, jsonRules);
    if (also === '') continue;
    if (descriptor.fields.some(({ name }) => name === also))
      throw new Error(`${descriptor.typeName}.${field.name}: its other name ${also} is a field itself`);
    byName.set(also, entry);
  }
  return codec;
}

function fieldCodec(field: DescField, cache: Cache): ValueCodec {
  switch (field.fieldKind) {
    case 'scalar':
      return scalarCodec(field.scalar);
    case 'enum':
      return enumCodec(field.enum);
    case 'message':
      return messageCodec(field.message, cache);
    case 'list':
      switch (field.listKind) {
        case 'scalar':
          return listCodec(scalarCodec(field.scalar));
        case 'enum':
          return listCodec(enumCodec(field.enum));
        case 'message':
          return listCodec(messageCodec(field.message, cache));
      }
      break;
    case 'map':
      if (field.mapKey !== ScalarType.STRING)
        throw new Error(`${field.parent.typeName}.${field.name}: only text can be the key of a map in JSON`);
      switch (field.mapKind) {
        case 'scalar':
          return mapCodec(getOption(field, takesScalars) ? textOfScalars : scalarCodec(field.scalar));
        case 'enum':
          return mapCodec(enumCodec(field.enum));
        case 'message':
          return mapCodec(messageCodec(field.message, cache));
      }
  }
}

function messageCodec(descriptor: DescMessage, cache: Cache): ValueCodec {
  const freeForm = freeFormCodec(descriptor);
  if (freeForm !== undefined) return freeForm;
  const codec = compile(descriptor, cache);
  return { encode: value => codec.encode(value as Message), decode: codec.decode };
}

function listCodec(element: ValueCodec): ValueCodec {
  return {
    encode: value => (value as unknown[]).map(element.encode),
    decode(json, path) {
      if (!Array.isArray(json)) throw new FieldError(path, 'expected a list');
      return json.map((item: unknown, index) => element.decode(item, `${path}[${index}]`));
    },
  };
}

function mapCodec(element: ValueCodec): ValueCodec {
  return {
    encode: value =>
      Object.fromEntries(Object.entries(value as object).map(([key, item]) => [key, element.encode(item)])),
    decode: (json, path) =>
      Object.fromEntries(
        entries(json, path)
          .filter(([, item]) => item !== null || element.takesNull === true)
          .map(([key, item]) => [key, element.decode(item, `${path}.${key}`)]),
      ),
  };
}

function enumCodec(descriptor: DescEnum): ValueCodec {
  const names = descriptor.values.map(value => value.name);
  return {
    encode: value => descriptor.value[value as number]?.name ?? value,
    decode(json, path) {
      const found = descriptor.values.find(value => value.name === json);
      if (found === undefined) throw new FieldError(path, `expected one of ${names.join(', ')}`);
      return found.number;
    },
  };
}

/** Text, and what stands for text in env: 8080, 0.5, true. */
const textOfScalars: ValueCodec = {
  encode: value => value,
  decode: expecting('text, a number that is exact, true or false', json => {
    if (typeof json === 'string') return json;
    if (typeof json === 'boolean') return String(json);
    // JSON.parse has rounded a larger whole number already.
    const isExact = typeof json === 'number' && (Number.isSafeInteger(json) || !Number.isInteger(json));
    return isExact && Number.isFinite(json) ? String(json) : undefined;
  }),
};

const identity = (value: unknown) => value;

function scalarCodec(type: ScalarType): ValueCodec {
  switch (type) {
    case ScalarType.STRING:
      return {
        encode: identity,
        decode: expecting('text', json => (typeof json === 'string' ? json : undefined)),
      };
    case ScalarType.BOOL:
      return {
        encode: identity,
        decode: expecting('true or false', json => (typeof json === 'boolean' ? json : undefined)),
      };
    case ScalarType.DOUBLE:
      return { encode: identity, decode: expecting('a number', real(Number.MAX_VALUE)) };
    case ScalarType.FLOAT:
      return { encode: identity, decode: expecting('a number of 32 bits', real(largestFloat)) };
    case ScalarType.BYTES:
      return {
        encode: value => base64Encode(value as Uint8Array),
        decode: expecting('base64 text', decodeBytes),
      };
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
      return {
        encode: identity,
        decode: expecting('a whole number from 0 to 4294967295', integer(0, 0xffff_ffff)),
      };
    case ScalarType.INT32:
    case ScalarType.SINT32:
    case ScalarType.SFIXED32:
      return {
        encode: identity,
        decode: expecting('a whole number of 32 bits', integer(-0x8000_0000, 0x7fff_ffff)),
      };
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
      return { encode: Number, decode: expecting('a whole number, not negative', bigInteger(0)) };
    case ScalarType.INT64:
    case ScalarType.SINT64:
    case ScalarType.SFIXED64:
      return { encode: Number, decode: expecting('a whole number', bigInteger(Number.MIN_SAFE_INTEGER)) };
  }
}

function expecting(what: string, read: (json: unknown) => unknown): ValueCodec['decode'] {
  return (json, path) => {
    const value = read(json);
    if (value === undefined) throw new FieldError(path, `expected ${what}`);
    return value;
  };
}

/** The largest value of 32 bits; beyond it protobuf refuses to write. */
const largestFloat = 3.4028234663852886e38;

/** JSON has no infinity, but JSON.parse reads 1e400 as one. */
function real(max: number): (json: unknown) => number | undefined {
  return json => (typeof json === 'number' && Math.abs(json) <= max ? json : undefined);
}

function integer(min: number, max: number): (json: unknown) => number | undefined {
  return json =>
    typeof json === 'number' && Number.isInteger(json) && json >= min && json <= max ? json : undefined;
}

function bigInteger(min: number): (json: unknown) => bigint | undefined {
  return json =>
    typeof json === 'number' && Number.isSafeInteger(json) && json >= min ? BigInt(json) : undefined;
}

function decodeBytes(json: unknown): Uint8Array | undefined {
  if (typeof json !== 'string') return undefined;
  try {
    return base64Decode(json);
  } catch {
    return undefined;
  }
}

function entries(json: unknown, path: string): [string, unknown][] {
  if (path !== '' && Array.isArray(json) && json.length === 0) return [];
  if (typeof json !== 'object' || json === null || Array.isArray(json))
    throw new FieldError(path === '' ? 'command' : path, 'expected an object');
  return Object.entries(json);
}
