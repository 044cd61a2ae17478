import { type Schema, schemaRef } from '@coold/openapi';

// The envelopes and the hosts that the lane answers with (docs/contract.md §2), as schemas of its OpenAPI document.

const calls = ['dispatch', 'result', 'cancel', 'events', 'delete'];

function envelope(code: Schema, reason: Schema, stage: Schema | undefined): Schema {
  return {
    type: 'object',
    properties: {
      request_id: { type: 'string', description: 'As in the request; empty where it could not be read.' },
      status: { type: 'string', const: 'error', description: 'It failed.' },
      code: { ...code, description: 'As a status of HTTP.' },
      reason: { ...reason, description: 'Why, for programs.' },
      message: { type: 'string', description: 'What went wrong, for people.' },
      ...(stage === undefined
        ? { host_id: { type: 'string', description: 'The host that no broker has a stream of.' } }
        : { stage: { ...stage, description: 'Where the build was; of a refusal, which call it was.' } }),
      field: { type: 'string', description: 'The field of the request that offends, where one does.' },
    },
    required: [
      ...['request_id', 'status', 'code', 'reason', 'message'],
      ...(stage === undefined ? [] : ['stage']),
    ],
  };
}

/** Returns the envelope of a refusal of the broker itself. */
export function brokerError(reason: Schema, code: number, isBuild: boolean): Schema {
  return envelope({ type: 'integer', const: code }, reason, isBuild ? { enum: calls } : undefined);
}

/** The envelopes of errors of any kind, those of hosts included. */
export const errorSchemas: Record<string, Schema> = {
  Refused: envelope({ type: 'integer' }, schemaRef('Reason'), undefined),
  BuildRefused: envelope({ type: 'integer' }, schemaRef('Reason'), { type: 'string' }),
};

const count = (description: string): Schema => ({ type: 'integer', minimum: 0, description });
const time = (description: string): Schema => ({ type: 'string', format: 'date-time', description });
const orNull = (schema: Schema): Schema => ({ ...schema, type: [schema['type'], 'null'] });
const object = (properties: Record<string, Schema>, description: string): Schema => ({
  type: 'object',
  description,
  properties,
  required: Object.keys(properties),
});

const host = {
  host_id: { type: 'string', description: "The claim `sub` of the host's token." },
  capabilities: { type: 'array', items: { type: 'string' }, description: '"coold", and "builder".' },
  builder_capacity: count('Builds that it runs at once.'),
  coold_version: { type: 'string', description: 'The version of its coold.' },
  schema_max: count('The newest schema that it speaks.'),
  connected_at: time('When its stream began.'),
  token_ends_at: orNull(time('When the token of its stream ends; null: never.')),
  token_key: { type: ['string', 'null'], description: 'The thumbprint of the key that signed the token.' },
  builds: object({ running: count('That run.'), queued: count('That wait for a place.') }, 'Its builds.'),
};
const brokerId = { type: ['string', 'null'], description: 'The broker; null where it is alone.' };

/** What the lane says of itself and of the hosts. */
export const hostSchemas: Record<string, Schema> = {
  Health: object({ ok: { type: 'boolean', const: true, description: 'It serves.' } }, 'The broker serves.'),
  StreamBegun: object(
    {
      request_id: { type: 'string', description: 'As in the request.' },
      status: { type: 'string', const: 'ok', description: 'The host has begun.' },
    },
    'The first line of a stream.',
  ),
  Host: object(host, 'A host that is connected.'),
  Fleet: object(
    {
      hosts: {
        type: 'array',
        items: object({ ...host, broker_id: brokerId }, 'A host, and the broker that has it.'),
        description: 'The hosts of all brokers, up to 50000.',
      },
      brokers: {
        type: 'array',
        description: 'The brokers.',
        items: object(
          {
            broker_id: brokerId,
            address: { type: ['string', 'null'], description: 'Where the others dial it.' },
            state: {
              type: 'string',
              enum: ['here', 'answered', 'silent', 'dead', 'old'],
              description: 'How it came to its hosts being listed or not.',
            },
            hosts: count('Hosts that it has.'),
            error: { type: ['string', 'null'], description: 'Why it did not answer.' },
          },
          'A broker.',
        ),
      },
      complete: { type: 'boolean', description: 'False: hosts may be missing.' },
    },
    'The hosts of all brokers.',
  ),
};
