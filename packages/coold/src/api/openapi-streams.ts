import type { StreamForm } from './handler.ts';
import type { RestRoute } from './rest-route.ts';
import { ndjsonType } from './rest-stream.ts';

// What the OpenAPI document says of streams (docs/contract.md §3). OpenAPI 3.1 has no lines of its own: a schema is
// that of each.

const base64 = { type: 'string', enum: ['base64'] };
const side = { type: 'integer', minimum: 1, maximum: 0xffff };
const object = (properties: object, required: string[], rest = {}) => ({
  type: 'object',
  properties,
  required,
  additionalProperties: false,
  ...rest,
});

/** The lines, by their names in the document. */
export const streamSchemas = {
  OutputLine: object(
    { stream: { type: 'string', enum: ['stdout', 'stderr'] }, data: { type: 'string' }, encoding: base64 },
    ['stream', 'data'],
  ),
  ExitLine: object({ exit_code: { type: 'integer', format: 'int32' } }, ['exit_code']),
  ErrorLine: object({ error: { type: 'string' }, code: { type: 'integer' }, field: { type: 'string' } }, [
    'error',
    'code',
  ]),
  InputLine: {
    oneOf: [
      object({ stdin: { type: 'string' }, encoding: base64 }, ['stdin']),
      object({ resize: object({ cols: side, rows: side }, ['cols', 'rows']) }, ['resize']),
      object({ eof: { type: 'boolean', enum: [true] } }, ['eof']),
    ],
  },
};

const ref = (name: keyof typeof streamSchemas) => ({ $ref: `#/components/schemas/${name}` });
const error = { $ref: '#/components/responses/Error' };

export function streamAnswer({ takesInput }: StreamForm): object {
  const lines = [ref('OutputLine'), ...(takesInput ? [ref('ExitLine')] : []), ref('ErrorLine')];
  const session = { description: 'The session its input is brought to', schema: { type: 'string' } };
  return {
    description: 'A line at a time, as it comes about; an error is the last',
    ...(takesInput ? { headers: { 'x-exec-session': session } } : {}),
    content: { [ndjsonType]: { schema: { oneOf: lines } } },
  };
}

/** The call that brings the input of a verb that takes any. */
export function streamInput({ verb, place }: RestRoute, tag: string): object {
  const parameters = [...place.pathFields, 'session'].map(name => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string', minLength: 1 },
  }));
  return {
    operationId: `${verb.name}.input`,
    summary: 'Brings input to a session, a line at a time, as fast as it is taken',
    tags: [tag],
    parameters,
    requestBody: { content: { [ndjsonType]: { schema: ref('InputLine') } } },
    responses: { 204: { description: 'All of it was taken' }, 401: error, default: error },
  };
}
