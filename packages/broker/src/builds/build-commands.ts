import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { type BuildRequest, type ServerMsg, ServerMsgSchema } from '@coold/proto';
import type { Build, BuildTable } from './build-table.ts';

type Command = NonNullable<MessageInitShape<typeof ServerMsgSchema>['command']>;

/** Names a build towards its host: by its id, and by the nonce of its dispatch (builds.proto). */
export interface NamedBuild {
  requestId: string;
  nonce: string;
}

const message = (requestId: string, command: Command): ServerMsg =>
  create(ServerMsgSchema, { requestId, command });

/** Returns the command that gives a build to a host. */
export const giveBuild = ({ requestId, nonce }: NamedBuild, build: BuildRequest) =>
  message(requestId, { case: 'build', value: { ...build, nonce } });
/** Returns the command to stop a build. The host still answers with the outcome. */
export const cancelBuild = ({ requestId, nonce }: NamedBuild) =>
  message(requestId, { case: 'cancelBuild', value: { nonce } });
/** Returns the message that the result of a build was read. */
export const acknowledge = ({ requestId, nonce }: NamedBuild) =>
  message(requestId, { case: 'buildAck', value: { nonce } });
/** Returns the command to remove the result of a build, because no caller wants it any more. */
export const removeResult = ({ requestId, nonce }: NamedBuild) =>
  message(requestId, { case: 'buildAck', value: { nonce, remove: true } });
/** Returns the command to send the result of a build again. */
const askResult = ({ requestId, nonce }: NamedBuild) =>
  message(requestId, { case: 'buildResult', value: { nonce } });

/** Asks the host of a build for its result, once per stream, if the result is not here and the host is connected. */
export function requestResult(build: Build, table: Pick<BuildTable, 'holdAgain'>): void {
  const { host, state, askedOn } = build;
  if (state === 'landed' || state === 'kept' || host.stream === undefined || host.stream === askedOn) return;
  if (host.schemaMax < 2 || !table.holdAgain(build)) return;
  if (host.stream.send(askResult(build))) build.askedOn = host.stream;
}

/** Tells the host of a build to stop it, if that is wanted and the host is connected. */
export function sendCancel(build: Build): void {
  const { host, cancelledOn } = build;
  if (!build.cancelWanted || host.stream === undefined) return;
  // The first on each stream is always queued. Further ones are dropped when the host does not read.
  if (cancelledOn === host.stream) host.stream.send(cancelBuild(build));
  else host.stream.sendOwed(cancelBuild(build));
  build.cancelledOn = host.stream;
}
