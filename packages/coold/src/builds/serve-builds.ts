import { create } from '@bufbuild/protobuf';
import { asVerbError } from '@coold/errors';
import { type Response, ResponseSchema, type ServerMsg } from '@coold/proto';
import type { Logger } from '@coold/runtime';
import { errorMessage } from '../link/failure-frame.ts';
import type { Builds } from './builds.ts';

export interface BuildLaneOptions {
  /** Resolves once the connection has accepted the response, or is gone. */
  send(response: Response): Promise<void>;
  /** Aborts when the stream to the broker ends. */
  gone: AbortSignal;
  log: Logger;
}

type Command = ServerMsg['command'];
/** The build commands that are answered once. build_events is answered as a stream, elsewhere. */
export type BuildCommand = Extract<Command, { case: 'build' | 'cancelBuild' | 'buildAck' | 'buildResult' }>;

/** Serves build commands on one stream to the broker, and sends answers there as builds finish. The returned function never rejects. */
export function serveBuilds(
  builds: Builds,
  { send, gone, log }: BuildLaneOptions,
): (requestId: string, command: BuildCommand) => Promise<void> {
  const answer = (requestId: string, body: Response['body']) =>
    send(create(ResponseSchema, { requestId, body }));
  builds.attach(answer, gone);

  async function obey(requestId: string, command: BuildCommand): Promise<void> {
    switch (command.case) {
      case 'build':
        return builds.take(requestId, command.value);
      case 'cancelBuild':
        return builds.cancel(requestId, command.value.nonce);
      case 'buildAck':
        return builds.acknowledge(requestId, command.value);
      case 'buildResult': {
        const body = builds.result(requestId, command.value.nonce);
        return body === undefined ? undefined : answer(requestId, body);
      }
    }
  }

  return async (requestId, command) => {
    try {
      await obey(requestId, command);
    } catch (error) {
      const refused = asVerbError(error, command.case, log);
      const { code, message } = refused;
      // A cancel or an acknowledgement has no answer (builds.proto): its id is that of the build.
      if (command.case === 'cancelBuild' || command.case === 'buildAck') return;
      if (code < 500) log.info({ request_id: requestId, code, reason: message }, `${command.case} refused`);
      else log.warn({ request_id: requestId, code, reason: message }, `${command.case} refused`);
      await answer(requestId, { case: 'error', value: errorMessage(refused, command.value.nonce) });
    }
  };
}
