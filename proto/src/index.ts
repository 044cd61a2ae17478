export * from '../gen/coolify/agent/v1/agent_pb.js';
export { answerEncoder } from './answer.ts';
export type { HttpPlace } from './http.ts';
export { FieldError, fieldEncoder, fieldValue, type JsonCodec, jsonCodec } from './json.ts';
export { readJsonText } from './json-text.ts';
export { agentStream, maxResponseBytes } from './service.ts';
export { readVerbs, SCHEMA_MAX, SCHEMA_MIN, type Verb } from './verbs.ts';
