import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { type BuildRequest, type ServerMsg, ServerMsgSchema } from '@coold/proto';

type Command = NonNullable<MessageInitShape<typeof ServerMsgSchema>['command']>;

/** A build as its host knows it: by its id, and by the nonce of the dispatch that is meant (builds.proto). */
export interface NamedBuild {
  requestId: string;
  nonce: string;
}

const message = (requestId: string, command: Command): ServerMsg =>
  create(ServerMsgSchema, { requestId, command });

/** Build this. */
export const giveBuild = ({ requestId, nonce }: NamedBuild, build: BuildRequest) =>
  message(requestId, { case: 'build', value: { ...build, nonce } });
/** Stop this build; it answers with its outcome, as ever. */
export const cancelBuild = ({ requestId, nonce }: NamedBuild) =>
  message(requestId, { case: 'cancelBuild', value: { nonce } });
/** Its result was read. */
export const acknowledge = ({ requestId, nonce }: NamedBuild) =>
  message(requestId, { case: 'buildAck', value: { nonce } });
/** Its result is wanted by no caller any more. */
export const removeResult = ({ requestId, nonce }: NamedBuild) =>
  message(requestId, { case: 'buildAck', value: { nonce, remove: true } });
/** Say its result again. */
export const askResult = ({ requestId, nonce }: NamedBuild) =>
  message(requestId, { case: 'buildResult', value: { nonce } });
