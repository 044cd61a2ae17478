export {
  described,
  isRequired,
  MessageSchemas,
  type ObjectSchema,
} from './message-schemas.ts';
export { errorResponses, reasonSchema } from './reasons.ts';
export { jsonContent, lineContent, ndjsonType, type Schema, schemaRef } from './schema.ts';
export { lineRef, streamSchemas } from './stream-lines.ts';
