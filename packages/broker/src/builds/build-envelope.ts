import {
  brokerStopping,
  type Failure,
  failure,
  type Reason,
  type Refusal,
  readBuildReason,
  requestIdUnknown,
} from '@coold/errors';
import type { BuildResponseBody } from '@coold/proto';
import { hostFailure } from '../hosts/host-failure.ts';
import type { BuildOutcome } from './build-table.ts';

/** The body of an answer of the build lane (docs/contract.md §2). */
export type BuildEnvelope =
  | { request_id: string; status: 'ok'; digest: string; registry_ref: string; duration_ms: number }
  | {
      request_id: string;
      status: 'error';
      code: number;
      reason: Reason;
      message: string;
      /** The stage that the build had reached; for a refusal of the broker, the call. */
      stage: string;
      field?: string;
    };

export interface BuildReply {
  /** The HTTP status. The envelope's status is that of the build. */
  status: number;
  envelope: BuildEnvelope;
}

/** The calls of the build lane, as the stage of the broker's own answers. */
export type BuildCall = 'dispatch' | 'result' | 'cancel' | 'events' | 'delete';

/** Returns the HTTP reply for a refusal of the broker itself. */
export function refuseBuild(
  stage: BuildCall,
  { requestId, code, reason, message, field }: Refusal,
): BuildReply {
  const error = { request_id: requestId, status: 'error', code, reason, message, stage } as const;
  return { status: code, envelope: field === undefined ? error : { ...error, field } };
}

/** Whether a reply says that the build is unknown. */
export function isUnknownBuild({ status, envelope }: BuildReply): boolean {
  return status === 404 && envelope.status === 'error' && envelope.reason === 'request_id_unknown';
}

/** Returns the reply to a poller for an outcome. */
export function concludeBuild(requestId: string, outcome: BuildOutcome): BuildReply {
  const refused = (failed: Failure) => refuseBuild('result', { requestId, ...failed });
  switch (outcome.kind) {
    case 'timeout':
      return refused(failure('result_not_ready', 'result poll timed out'));
    case 'unknown':
      return refused(requestIdUnknown);
    case 'host gone':
      return refused(failure('build_host_away', 'builder host disconnected'));
    case 'lost':
      return refused(failure('build_lost', 'builder host came back without the build'));
    case 'stopping':
      return refused(brokerStopping);
    case 'answered':
      break;
  }
  const { hostId, body } = outcome;
  switch (body.case) {
    case 'build':
      return concludeResult(requestId, hostId, body.value);
    case 'error': {
      return { ...refuseBuild('dispatch', { requestId, ...hostFailure(body.value) }), status: 200 };
    }
    default:
      return refused(
        failure(
          'host_answer_unknown',
          `host ${hostId} answered a build with ${body.case ?? 'nothing it knows'}`,
        ),
      );
  }
}

function concludeResult(requestId: string, hostId: string, { body }: BuildResponseBody): BuildReply {
  switch (body.case) {
    case 'ok': {
      const { digest, registryRef, durationMs } = body.value;
      const duration_ms = Number(durationMs);
      const envelope = { request_id: requestId, status: 'ok', digest, registry_ref: registryRef } as const;
      return { status: 200, envelope: { ...envelope, duration_ms } };
    }
    case 'err': {
      const { code, message, stage } = body.value;
      const reason = readBuildReason(body.value.reason, code, stage);
      const error = { request_id: requestId, status: 'error', code, reason, message, stage } as const;
      return { status: 200, envelope: error };
    }
    case undefined: {
      const message = `host ${hostId} answered neither a result nor an error`;
      return refuseBuild('result', { requestId, ...failure('host_answer_unknown', message) });
    }
  }
}
