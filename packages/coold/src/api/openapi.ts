import { type DescEnum, type DescField, type DescMessage, ScalarType } from '@bufbuild/protobuf';
import { FeatureSet_FieldPresence } from '@bufbuild/protobuf/wkt';
import { streamAnswer, streamInput, streamSchemas } from './openapi-streams.ts';
import { inputPath, type RestRoute } from './rest-route.ts';

export type Schema = Record<string, unknown>;

/** Requests may leave fields out and may not have others; answers have all their fields (docs/contract.md §2). */
type Side = 'request' | 'answer';

const jsonContent = (schema: Schema) => ({ 'application/json': { schema } });
const errorAnswer = { $ref: '#/components/responses/Error' };

/** The OpenAPI 3.1 document of the verbs on REST, from the same descriptors that serve them. Pure. */
export function openApiDocument(routes: readonly RestRoute[], version: string): object {
  const schemas = createSchemas();
  const paths: Record<string, Record<string, unknown>> = {
    '/healthz': {
      get: {
        operationId: 'healthz',
        summary: 'Whether coold serves; needs no token',
        security: [],
        responses: { 200: { description: 'It does', content: jsonContent({ type: 'object' }) } },
      },
    },
    '/metrics': {
      get: {
        operationId: 'metrics',
        summary: 'Metrics for Prometheus',
        responses: {
          200: { description: 'Metrics', content: { 'text/plain': { schema: { type: 'string' } } } },
          401: errorAnswer,
        },
      },
    },
    '/openapi.json': {
      get: {
        operationId: 'openapi',
        summary: 'This document',
        responses: {
          200: { description: 'OpenAPI 3.1', content: jsonContent({ type: 'object' }) },
          401: errorAnswer,
        },
      },
    },
  };
  for (const route of routes) {
    const { place } = route;
    const atPath = paths[place.path] ?? {};
    paths[place.path] = atPath;
    atPath[place.method.toLowerCase()] = operation(route, schemas);
    const input = inputPath(route);
    if (input !== undefined) paths[input] = { post: streamInput(route, tagOf(route)) };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'coold',
      version,
      description: 'The per-host agent of Coolify: one closed set of verbs, the same as over its stream.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    security: [{ token: [] }],
    paths,
    components: {
      securitySchemes: { token: { type: 'http', scheme: 'bearer' } },
      responses: {
        Error: {
          description: 'What went wrong, and the field that offends where one does',
          content: jsonContent({
            type: 'object',
            required: ['error'],
            properties: { error: { type: 'string' }, field: { type: 'string' } },
          }),
        },
      },
      schemas: { ...schemas.all(), ...(routes.some(({ verb }) => verb.streams) ? streamSchemas : {}) },
    },
  };
}

function operation(route: RestRoute, schemas: Schemas): object {
  const { verb, place, request, handler } = route;
  const { method, status, pathFields } = place;
  const inPath = pathFields.map(name => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string', minLength: 1 },
  }));
  const others = verb.request.fields.filter(({ name }) => !pathFields.includes(name));
  const inQuery = others
    .filter(({ name }) => method !== 'POST' && request.queryFields.get(name)?.read !== undefined)
    .map(field => ({ name: field.name, in: 'query', schema: schemas.ofField(field, 'request') }));
  const body = schemas.ofFields(others, 'request');
  const answer =
    verb.body === undefined
      ? schemas.ofMessage(verb.response, 'answer')
      : schemas.ofField(verb.body, 'answer');
  return {
    operationId: verb.name,
    summary: verb.summary,
    tags: [tagOf(route)],
    ...(inPath.length + inQuery.length === 0 ? {} : { parameters: [...inPath, ...inQuery] }),
    ...(others.length === 0 || method === 'GET' ? {} : { requestBody: { content: jsonContent(body) } }),
    responses: {
      [status]:
        handler.stream !== undefined
          ? streamAnswer(handler.stream)
          : status === 204
            ? { description: 'Done' }
            : { description: 'Done', content: jsonContent(answer) },
      401: errorAnswer,
      default: errorAnswer,
    },
  };
}

function tagOf({ verb: { name } }: RestRoute): string {
  return name.includes('.') ? (name.split('.')[0] ?? name) : 'host';
}

/** One of them is what a field, or an item of it, is. */
interface ValueTypes {
  message: DescMessage | undefined;
  enum: DescEnum | undefined;
  scalar: ScalarType | undefined;
}

interface Schemas {
  ofMessage(message: DescMessage, side: Side): Schema;
  ofField(field: DescField, side: Side): Schema;
  /** An object of these fields, written out. */
  ofFields(fields: readonly DescField[], side: Side): Schema;
  /** Every message that was referred to, by its name in the document. */
  all(): Record<string, Schema>;
}

function createSchemas(): Schemas {
  const named = new Map<string, { message: DescMessage; schema: Schema }>();

  function ofMessage(message: DescMessage, side: Side): Schema {
    const base = wellKnown[message.typeName];
    if (base !== undefined) return base;
    const short = message.typeName.slice(message.file.proto.package.length).replace(/^\./, '');
    const name = side === 'request' ? `${short}Input` : short;
    const known = named.get(name);
    if (known !== undefined && known.message !== message)
      throw new Error(`${message.typeName} and ${known.message.typeName} would both be ${name} in OpenAPI`);
    if (known === undefined) {
      const entry = { message, schema: {} as Schema };
      named.set(name, entry); // before its fields: a message may contain itself
      entry.schema = ofFields(message.fields, side);
    }
    return { $ref: `#/components/schemas/${name}` };
  }

  function ofFields(fields: readonly DescField[], side: Side): Schema {
    const properties = Object.fromEntries(fields.map(field => [field.name, ofField(field, side)]));
    if (side === 'request') return { type: 'object', properties, additionalProperties: false };
    const required = fields.filter(hasNoPresence).map(({ name }) => name);
    return { type: 'object', properties, ...(required.length === 0 ? {} : { required }) };
  }

  function ofField(field: DescField, side: Side): Schema {
    const ofValue = (value: ValueTypes) => {
      if (value.message !== undefined) return ofMessage(value.message, side);
      if (value.enum !== undefined)
        return { type: 'string', enum: value.enum.values.map(({ name }) => name) };
      return scalarSchemas[value.scalar ?? ScalarType.STRING];
    };
    switch (field.fieldKind) {
      case 'list':
        return { type: 'array', items: ofValue(field) };
      case 'map':
        return { type: 'object', additionalProperties: ofValue(field) };
      default:
        return ofValue(field);
    }
  }

  return {
    ofMessage,
    ofField,
    ofFields,
    all: () =>
      Object.fromEntries(
        [...named].map(([name, { schema }]): [string, Schema] => [name, schema]).sort(byName),
      ),
  };
}

const byName = ([a]: [string, Schema], [b]: [string, Schema]) => (a < b ? -1 : 1);

/** Such a field is in every answer, with its default at least. */
const hasNoPresence = ({ presence }: DescField) => presence === FeatureSet_FieldPresence.IMPLICIT;

/** Messages that are JSON of any form. */
const wellKnown: Record<string, Schema> = {
  'google.protobuf.Struct': { type: 'object' },
  'google.protobuf.Value': {},
  'google.protobuf.ListValue': { type: 'array', items: {} },
};

const unsigned32 = { type: 'integer', minimum: 0, maximum: 0xffff_ffff };
const signed32 = { type: 'integer', format: 'int32' };
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
