import type { MessageSchemas, Schema } from '@coold/openapi';
import { schemaRef } from '@coold/openapi';
import type { Verb } from '@coold/proto';

/** The commands of a dispatch, as components of the lane's document. */
export interface CommandSchemas {
  /** A schema for each verb, by its name among the components. */
  components: Record<string, Schema>;
  /** Any of the verbs. */
  any: Schema;
  /** Any of the verbs that stream. */
  streamed: Schema;
  /** What `data` of an answer can be. */
  data: Schema;
}

/** Returns the schemas of the commands, each with its `type` and the fields of its request beside it. Pure. */
export function commandSchemas(verbs: readonly Verb[], schemas: MessageSchemas): CommandSchemas {
  const data = new Map<string, Schema>();
  const components = verbs.map((verb): [string, Schema] => {
    const answer = dataSchema(verb, schemas);
    data.set(JSON.stringify(answer), answer);
    const { properties, required = [], allOf } = schemas.ofFields(verb.request.fields, 'request');
    return [
      componentName(verb),
      {
        type: 'object',
        description: `${verb.summary}.`,
        properties: { type: { type: 'string', const: verb.name, description: 'The verb.' }, ...properties },
        required: ['type', ...required],
        ...(allOf === undefined ? {} : { allOf }),
        additionalProperties: false,
        'x-data': answer,
        'x-schema': verb.schema,
      },
    ];
  });
  const choice = (some: readonly Verb[]): Schema => ({
    oneOf: some.map(verb => schemaRef(componentName(verb))),
    discriminator: {
      propertyName: 'type',
      mapping: Object.fromEntries(
        some.map(verb => [verb.name, `#/components/schemas/${componentName(verb)}`]),
      ),
    },
  });
  return {
    components: Object.fromEntries(components),
    any: choice(verbs),
    streamed: choice(verbs.filter(({ streams }) => streams)),
    data: { description: 'What the command answers: see `x-data` of its schema.', anyOf: [...data.values()] },
  };
}

/** `containers.create` → `ContainersCreateCommand`. */
function componentName({ name }: Verb): string {
  const words = name.split(/[._]/).map(word => `${word.charAt(0).toUpperCase()}${word.slice(1)}`);
  return `${words.join('')}Command`;
}

function dataSchema({ body, response }: Verb, schemas: MessageSchemas): Schema {
  if (response.fields.length === 0) return { type: 'null' };
  if (body === undefined) return schemas.ofMessage(response, 'answer');
  const { description: _, ...schema } = schemas.ofField(body, 'answer');
  return schema;
}
