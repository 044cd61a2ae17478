import {
  isRequired,
  jsonContent,
  lineContent,
  lineRef,
  MessageSchemas,
  reasonSchema,
  type Schema,
  schemaRef,
  streamSchemas,
} from '@coold/openapi';
import type { HttpPlace, Verb } from '@coold/proto';
import { restError, restErrors } from './openapi-errors.ts';
import { inputPath, requestShape } from './rest-route.ts';

/** A verb with its place in the REST API. */
interface PlacedVerb {
  verb: Verb;
  place: HttpPlace;
}

/** Each is a response in the document's components, named by its status. */
const errorRefs = Object.fromEntries(
  Object.keys(restErrors).map(code => [code, { $ref: `#/components/responses/Error${code}` }]),
);
const anyError = { $ref: '#/components/responses/Error' };
/** For calls that need only the token. */
const strangerErrors = { 401: errorRefs['401'], default: anyError };

/** Returns the OpenAPI 3.1 document of the REST API, from the descriptors that also serve it. Pure. */
export function openApiDocument(verbs: Iterable<Verb>, version: string): object {
  const schemas = new MessageSchemas();
  const placed = [...verbs].flatMap(verb => (verb.http === undefined ? [] : [{ verb, place: verb.http }]));
  const paths: Record<string, Record<string, unknown>> = { ...ownPaths };
  for (const { verb, place } of placed) {
    const atPath = paths[place.path] ?? {};
    paths[place.path] = atPath;
    atPath[place.method.toLowerCase()] = operation({ verb, place }, schemas);
    const input = inputPath({ verb, place });
    if (input !== undefined) paths[input] = { post: inputOperation({ verb, place }, schemas) };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'coold',
      version,
      summary: 'The REST API of a host',
      description:
        'The per-host agent of Coolify: one closed set of verbs, the same as over its stream. In a request, null means an absent field and `[]` an object without fields, as PHP writes them.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [
      {
        url: 'http://{address}',
        description: 'COOLD_API_BIND of the host; https where it has COOLD_TLS_CERT',
        variables: { address: { default: '100.64.0.5:8443' } },
      },
    ],
    security: [{ token: [] }],
    tags: tagsOf(placed),
    paths,
    components: {
      securitySchemes: {
        token: {
          type: 'http',
          scheme: 'bearer',
          description: "The token in the host's COOLD_API_TOKEN_FILE.",
        },
      },
      responses: {
        Error: {
          description: 'What went wrong, and the invalid field, if there is one',
          content: jsonContent(restError(schemaRef('Reason'))),
        },
        ...Object.fromEntries(
          Object.entries(restErrors).map(([code, response]) => [`Error${code}`, response]),
        ),
      },
      schemas: {
        ...schemas.all(),
        Reason: reasonSchema,
        ...(placed.some(({ verb }) => verb.streams) ? streamSchemas : {}),
      },
    },
  };
}

/** Paths that are not verbs. */
const ownPaths = {
  '/healthz': {
    get: {
      operationId: 'healthz',
      summary: 'Whether coold serves; needs no token',
      tags: ['coold'],
      security: [],
      responses: {
        200: {
          description: 'It does',
          content: jsonContent({
            type: 'object',
            required: ['ok'],
            properties: { ok: { type: 'boolean', enum: [true], description: 'It serves.' } },
          }),
        },
        default: anyError,
      },
    },
  },
  '/metrics': {
    get: {
      operationId: 'metrics',
      summary: 'Metrics for Prometheus',
      tags: ['coold'],
      responses: {
        200: { description: 'Metrics', content: { 'text/plain': { schema: { type: 'string' } } } },
        ...strangerErrors,
      },
    },
  },
  '/openapi.json': {
    get: {
      operationId: 'openapi',
      summary: 'This document',
      tags: ['coold'],
      responses: {
        200: { description: 'OpenAPI 3.1', content: jsonContent({ type: 'object' }) },
        ...strangerErrors,
      },
    },
  },
};

function operation({ verb, place }: PlacedVerb, schemas: MessageSchemas): object {
  const { method, status, pathFields } = place;
  const { queryFields } = requestShape(place, verb.request);
  const others = verb.request.fields.filter(({ name }) => !pathFields.includes(name));
  const inQuery = others
    .filter(({ name }) => method !== 'POST' && queryFields.get(name)?.read !== undefined)
    .map(field => ({
      name: field.name,
      in: 'query',
      ...(isRequired(field) ? { required: true } : {}),
      ...describedParameter(schemas, field),
    }));
  const body = schemas.ofFields(others, 'request');
  const parameters = [...pathParameters({ verb, place }, schemas), ...inQuery];
  return {
    operationId: verb.name,
    summary: verb.summary,
    ...(verb.deadline === undefined
      ? {}
      : { description: `Over the stream, the answer is waited for: ${verb.deadline.words}.` }),
    tags: [tagOf(verb)],
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(others.length === 0 || method !== 'POST'
      ? {}
      : { requestBody: { required: body.required !== undefined, content: jsonContent(body) } }),
    responses: {
      [status]: verb.streams
        ? streamAnswer(verb, lineSchema(verb, schemas))
        : status === 204
          ? { description: 'Done' }
          : { description: 'Done', content: jsonContent(answerSchema(verb, schemas)) },
      ...errorRefs,
      default: anyError,
    },
  };
}

function answerSchema({ body, response }: Verb, schemas: MessageSchemas): Schema {
  return body === undefined ? schemas.ofMessage(response, 'answer') : schemas.ofField(body, 'answer');
}

function pathParameters({ verb, place: { pathFields } }: PlacedVerb, schemas: MessageSchemas): object[] {
  return pathFields.flatMap(name => {
    const field = verb.request.fields.find(candidate => candidate.name === name);
    return field === undefined
      ? []
      : [{ name, in: 'path', required: true, ...describedParameter(schemas, field, { minLength: 1 }) }];
  });
}

function describedParameter(
  schemas: MessageSchemas,
  field: Verb['request']['fields'][number],
  more: Schema = {},
): object {
  const { description } = schemas.ofField(field, 'request');
  return {
    ...(description === undefined ? {} : { description }),
    schema: { ...more, ...schemas.ofParameter(field) },
  };
}

/** Returns the schema of a line, for a verb that streams lines of its own. */
function lineSchema({ lines, body }: Verb, schemas: MessageSchemas): Schema | undefined {
  return lines && body?.fieldKind === 'list' && body.listKind === 'message'
    ? schemas.ofMessage(body.message, 'answer')
    : undefined;
}

/** @param line the schema of its lines; undefined for program output */
function streamAnswer({ takesInput }: Verb, line?: Schema): object {
  const lines = [
    line ?? lineRef('OutputLine'),
    ...(takesInput ? [lineRef('ExitLine')] : []),
    lineRef('ErrorLine'),
  ];
  const session = { description: 'The session its input is brought to', schema: { type: 'string' } };
  return {
    description: 'One line at a time, as it is produced; an error is the last line',
    ...(takesInput ? { headers: { 'x-exec-session': session } } : {}),
    content: lineContent({ oneOf: lines }),
  };
}

/** The call that delivers input to a verb that takes any. */
function inputOperation({ verb, place }: PlacedVerb, schemas: MessageSchemas): object {
  const session = {
    name: 'session',
    in: 'path',
    required: true,
    description: "The value of the stream's header x-exec-session.",
    schema: { type: 'string', minLength: 1 },
  };
  return {
    operationId: `${verb.name}.input`,
    summary: 'Delivers input to a session, line by line, as fast as it is read',
    tags: [tagOf(verb)],
    parameters: [...pathParameters({ verb, place }, schemas), session],
    requestBody: { content: lineContent(lineRef('InputLine')) },
    responses: { 204: { description: 'All of it was taken' }, ...errorRefs, default: anyError },
  };
}

function tagOf({ name }: Verb): string {
  return name.includes('.') ? (name.split('.')[0] ?? name) : 'host';
}

function tagsOf(placed: readonly PlacedVerb[]): { name: string }[] {
  return [...new Set(['coold', ...placed.map(({ verb }) => tagOf(verb))])].map(name => ({ name }));
}
