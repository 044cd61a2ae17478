import { create } from '@bufbuild/protobuf';
import { ErrorSchema, type Response, ResponseSchema, type ServerMsg } from '@coold/proto';
import type { Logger } from '@coold/runtime';
import { asVerbError } from '../api/verb-error.ts';
import type { Builds } from './builds.ts';

export interface BuildLaneOptions {
  /** Resolves once the connection took it, or is gone. */
  send(response: Response): Promise<void>;
  /** Aborts with the stream to the broker. */
  gone: AbortSignal;
  log: Logger;
}

type Command = ServerMsg['command'];
/** The build commands of one stream but for build_events, which is a streamed one. */
export type BuildCommand = Extract<Command, { case: 'build' | 'cancelBuild' | 'buildAck' | 'buildResult' }>;

/** Serves builds on one stream to the broker, and answers there as they end. The work of a command never rejects. */
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
      const { code, message, field = '' } = asVerbError(error, command.case, log);
      // Nothing is answered to a cancel or an acknowledgement (builds.proto): their id is the build's own.
      if (command.case === 'cancelBuild' || command.case === 'buildAck') return;
      if (code < 500) log.info({ request_id: requestId, code, reason: message }, `${command.case} refused`);
      else log.warn({ request_id: requestId, code, reason: message }, `${command.case} refused`);
      await answer(requestId, {
        case: 'error',
        value: create(ErrorSchema, { code, message, field, nonce: command.value.nonce }),
      });
    }
  };
}
