/** A schema of JSON Schema 2020-12, which OpenAPI 3.1 uses as it is. */
export type Schema = Record<string, unknown>;

/** Returns a reference to a schema of the document's components. */
export function schemaRef(name: string): Schema {
  return { $ref: `#/components/schemas/${name}` };
}

/** Returns the `content` of a JSON body. */
export function jsonContent(schema: Schema): Record<string, { schema: Schema }> {
  return { 'application/json': { schema } };
}

/** The media type of streams. OpenAPI 3.1 has no word for lines: where it stands, a schema is that of each line. */
export const ndjsonType = 'application/x-ndjson';

/** Returns the `content` of a body of JSON lines. */
export function lineContent(schema: Schema): Record<string, { schema: Schema }> {
  return { [ndjsonType]: { schema } };
}

/** Returns the same schema that takes null too: in a request, null is an absent field. */
export function orNull(schema: Schema): Schema {
  const { type, enum: values, description, ...rest } = schema;
  const said = description === undefined ? {} : { description };
  if (typeof type === 'string' || Array.isArray(type))
    return {
      ...schema,
      type: [...[type].flat(), 'null'],
      ...(Array.isArray(values) ? { enum: [...(values as unknown[]), null] } : {}),
    };
  if (Object.keys(rest).length === 0) return schema;
  return { ...said, anyOf: [rest, { type: 'null' }] };
}
