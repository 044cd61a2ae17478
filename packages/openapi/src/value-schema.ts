import { type DescEnum, type DescMessage, ScalarType } from '@bufbuild/protobuf';
import type { JsonRules } from '@coold/proto';
import type { Schema } from './schema.ts';

/** A field, or one entry of a list or map: one of the three is what it is. */
export interface ValueTypes {
  message: DescMessage | undefined;
  enum: DescEnum | undefined;
  scalar: ScalarType | undefined;
}

/** What a request may have: the rules of the .proto count, and an empty text that stands for an absent one. */
export interface RequestRules {
  rules: JsonRules;
  /** An empty text is the same as an absent field. */
  isEmptyAllowed: boolean;
}

/** Returns the schema of a value of an answer that is no message. Its numbers and texts are what they are: no bounds. */
export function answerValue({ enum: values, scalar }: ValueTypes, { oneOf }: JsonRules): Schema {
  if (values !== undefined) return enumSchema(values);
  const base = scalarSchemas[scalar ?? ScalarType.STRING];
  return oneOf.length > 0 ? { ...base, enum: [...oneOf] } : base;
}

/** Returns the schema of a value of a request that is no message. */
export function requestValue({ enum: values, scalar }: ValueTypes, given: RequestRules): Schema {
  if (values !== undefined) return enumSchema(values);
  const type = scalar ?? ScalarType.STRING;
  const base = scalarSchemas[type];
  switch (type) {
    case ScalarType.STRING:
      return { ...base, ...textRules(given) };
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
    case ScalarType.INT64:
    case ScalarType.SINT64:
    case ScalarType.SFIXED64:
      return { ...base, maximum: Number.MAX_SAFE_INTEGER, ...bounds(given.rules) };
    case ScalarType.BOOL:
    case ScalarType.BYTES:
      return base;
    case ScalarType.DOUBLE:
    case ScalarType.FLOAT:
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
    case ScalarType.INT32:
    case ScalarType.SINT32:
    case ScalarType.SFIXED32:
      return { ...base, ...bounds(given.rules) };
  }
}

/** Returns the schema of JSON of any form in a request: with a pattern, it is a number or a text of that form. */
export function freeValue(rules: JsonRules): Schema {
  if (rules.pattern === '') return {};
  return { type: ['number', 'string'], pattern: rules.pattern, ...bounds(rules) };
}

function enumSchema({ values }: DescEnum): Schema {
  return { type: 'string', enum: values.map(({ name }) => name) };
}

function textRules({ rules, isEmptyAllowed }: RequestRules): Schema {
  const { oneOf, pattern, format, maxLength } = rules;
  if (oneOf.length > 0) return { enum: [...oneOf, ...(isEmptyAllowed ? [''] : [])] };
  const least = isEmptyAllowed ? {} : { minLength: 1 };
  const most = maxLength === undefined ? {} : { maxLength };
  // An anchored pattern says by itself how short a text may be.
  if (pattern !== '') return { pattern: isEmptyAllowed ? `^$|${pattern}` : pattern, ...most };
  // The pattern rather than the format where a text may be empty: no format has an empty text.
  if (format === 'ipv4' && isEmptyAllowed) return { pattern: `^$|${ipv4}` };
  if (format !== '') return { format, ...least };
  return { ...least, ...most };
}

const ipv4 = '^(?:(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])(?:\\.(?!$)|$)){4}$';

function bounds({ least, most }: JsonRules): Schema {
  return {
    ...(least === undefined ? {} : { minimum: least }),
    ...(most === undefined ? {} : { maximum: most }),
  };
}

const unsigned32 = { type: 'integer', minimum: 0, maximum: 0xffff_ffff };
const signed32 = { type: 'integer', format: 'int32', minimum: -0x8000_0000, maximum: 0x7fff_ffff };
const unsigned64 = { type: 'integer', format: 'int64', minimum: 0 };
const signed64 = { type: 'integer', format: 'int64' };

const scalarSchemas: Record<ScalarType, Schema> = {
  [ScalarType.STRING]: { type: 'string' },
  [ScalarType.BYTES]: { type: 'string', contentEncoding: 'base64' },
  [ScalarType.BOOL]: { type: 'boolean' },
  [ScalarType.DOUBLE]: { type: 'number', format: 'double' },
  [ScalarType.FLOAT]: { type: 'number', format: 'float' },
  [ScalarType.UINT32]: unsigned32,
  [ScalarType.FIXED32]: unsigned32,
  [ScalarType.INT32]: signed32,
  [ScalarType.SINT32]: signed32,
  [ScalarType.SFIXED32]: signed32,
  [ScalarType.UINT64]: unsigned64,
  [ScalarType.FIXED64]: unsigned64,
  [ScalarType.INT64]: signed64,
  [ScalarType.SINT64]: signed64,
  [ScalarType.SFIXED64]: signed64,
};
