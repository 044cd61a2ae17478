import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { type ServerMsg, ServerMsgSchema } from '@coold/proto';

type Command = NonNullable<MessageInitShape<typeof ServerMsgSchema>['command']>;

const message = (requestId: string, command: Command): ServerMsg =>
  create(ServerMsgSchema, { requestId, command });

/** Stop this build; it answers with its outcome, as ever. */
export const cancelBuild = (requestId: string) => message(requestId, { case: 'cancelBuild', value: {} });
/** Its result was read. */
export const acknowledge = (requestId: string) => message(requestId, { case: 'buildAck', value: {} });
/** Say its result again. */
export const askResult = (requestId: string) => message(requestId, { case: 'buildResult', value: {} });
