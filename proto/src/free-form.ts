import { type DescMessage, fromJson, type JsonValue, type Message, toJson } from '@bufbuild/protobuf';
import { ListValueSchema, StructSchema, type Value, ValueSchema } from '@bufbuild/protobuf/wkt';
import { FieldError } from './field-error.ts';
import type { ValueCodec } from './json.ts';

/**
 * The messages that stand for JSON itself, google.protobuf's Struct, Value and ListValue: plain JSON on both sides,
 * numbers as doubles (whole ones exact up to 2^53). Undefined for every other message.
 */
export function freeFormCodec(descriptor: DescMessage): ValueCodec | undefined {
  switch (descriptor.typeName) {
    case StructSchema.typeName:
      // protobuf-es holds a Struct field as the plain object already.
      return {
        encode: value => value,
        // PHP writes an empty object as an empty list.
        decode: (json, path) =>
          Array.isArray(json) && json.length === 0 ? {} : checked(json, path, 'an object', isObject),
      };
    case ListValueSchema.typeName:
      return {
        encode: value => toJson(ListValueSchema, value as Message<'google.protobuf.ListValue'> as never),
        decode: (json, path) =>
          fromJson(ListValueSchema, checked(json, path, 'a list', Array.isArray) as JsonValue),
      };
    case ValueSchema.typeName:
      return {
        // A Value that says nothing is what protobuf makes of one that was never filled in.
        encode: value =>
          (value as Value).kind.case === undefined ? null : toJson(ValueSchema, value as Value),
        decode: (json, path) =>
          fromJson(ValueSchema, checked(json, path, 'a value', () => true) as JsonValue),
        takesNull: true,
      };
    default:
      return undefined;
  }
}

/** Deeper JSON is refused: reading it is recursive, here and in whoever gets it next. */
const maxDepth = 32;

function checked(json: unknown, path: string, expected: string, fits: (json: unknown) => boolean): unknown {
  if (!fits(json)) throw new FieldError(path, `expected ${expected}`);
  check(json, path, maxDepth);
  return json;
}

function check(json: unknown, path: string, depth: number): void {
  if (depth === 0) throw new FieldError(path, `is nested deeper than ${maxDepth}`);
  if (Array.isArray(json)) {
    json.forEach((item: unknown, index) => {
      check(item, `${path}[${index}]`, depth - 1);
    });
  } else if (isObject(json)) {
    for (const [key, value] of Object.entries(json)) {
      // protobuf-es assigns the keys of a Struct, and assigning this one would set a prototype.
      if (key === '__proto__') throw new FieldError(`${path}.${key}`, 'cannot be a key');
      check(value, `${path}.${key}`, depth - 1);
    }
  } else if (typeof json === 'number' ? !Number.isFinite(json) : !isLeaf(json))
    throw new FieldError(path, 'expected JSON');
}

function isLeaf(json: unknown): boolean {
  return json === null || typeof json === 'string' || typeof json === 'boolean';
}

function isObject(json: unknown): json is object {
  return typeof json === 'object' && json !== null && !Array.isArray(json);
}
