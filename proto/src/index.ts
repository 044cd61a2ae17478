export * from '../gen/coolify/agent/v1/agent_pb.js';
export * from '../gen/coolify/agent/v1/builds_pb.js';
export * from '../gen/coolify/agent/v1/containers_pb.js';
export * from '../gen/coolify/agent/v1/dns_pb.js';
export * from '../gen/coolify/agent/v1/firewall_pb.js';
export * from '../gen/coolify/agent/v1/host_pb.js';
export * from '../gen/coolify/agent/v1/images_pb.js';
export * from '../gen/coolify/agent/v1/mesh_pb.js';
export * from '../gen/coolify/agent/v1/networks_pb.js';
export { meaning as reasonMeaning, Reason, ReasonSchema } from '../gen/coolify/agent/v1/reason_pb.js';
export * from '../gen/coolify/agent/v1/services_pb.js';
export * from '../gen/coolify/agent/v1/shutdown_pb.js';
export * from '../gen/coolify/agent/v1/streaming_pb.js';
export {
  type Json as JsonRules,
  json as jsonRules,
  takes_scalars as takesScalars,
} from '../gen/coolify/agent/v1/verb_pb.js';
export * from '../gen/coolify/agent/v1/volumes_pb.js';
export {
  type BuildAnswer,
  BuildAnswerSchema,
  type BuildAsk,
  BuildAskSchema,
  BuildKnowledge,
  type ForwardRequest,
  ForwardRequestSchema,
  type ForwardResponse,
  ForwardResponseSchema,
  type HeldHost,
  HeldHostSchema,
  type HostsAnswer,
  HostsAnswerSchema,
  type HostsAsk,
  HostsAskSchema,
  RevocationsRequestSchema,
  RevocationsResponseSchema,
} from '../gen/coolify/broker/v1/peer_pb.js';
export { answerEncoder } from './answer.ts';
export { maxBuilderCapacity } from './builder-capacity.ts';
export { FieldError } from './field-error.ts';
export { defaultBodyBytes, type HttpPlace } from './http.ts';
export { fieldEncoder, fieldValue, type JsonCodec, jsonCodec } from './json.ts';
export { readJsonText } from './json-text.ts';
export { createLineReader, type LineReader } from './line-reader.ts';
export { SCHEMA_MAX, SCHEMA_MIN } from './schema-range.ts';
export {
  agentStream,
  forwardPath,
  forwardStreamPath,
  maxResponseBytes,
  peerBuildPath,
  peerHostsPath,
  revocationsPath,
} from './service.ts';
export {
  encodeOutput,
  encodeStreamError,
  maxInputLineBytes,
  maxStreamChunkBytes,
  type OutputLine,
  readInputLines,
  readStreamInput,
  splitStdin,
} from './stream-lines.ts';
export { isStreamName, requestIdOf, streamName } from './stream-name.ts';
export { readVerbs, type Verb } from './verbs.ts';
