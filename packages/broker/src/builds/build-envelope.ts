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

/** What the build lane's calls answer with (docs/contract.md §2). */
export type BuildEnvelope =
  | { request_id: string; status: 'ok'; digest: string; registry_ref: string; duration_ms: number }
  | {
      request_id: string;
      status: 'error';
      code: number;
      reason: Reason;
      message: string;
      /** Where the build was; for what the broker refuses, which call it was. */
      stage: string;
      field?: string;
    };

export interface BuildReply {
  /** Speaks for the broker; the envelope's status speaks for the build. */
  status: number;
  envelope: BuildEnvelope;
}

/** The build lane's calls, as the stage of what the broker itself answers. */
export type BuildCall = 'dispatch' | 'result' | 'cancel' | 'events' | 'delete';

/** A refusal that the broker itself raised, as an HTTP reply. */
export function refuseBuild(
  stage: BuildCall,
  { requestId, code, reason, message, field }: Refusal,
): BuildReply {
  const error = { request_id: requestId, status: 'error', code, reason, message, stage } as const;
  return { status: code, envelope: field === undefined ? error : { ...error, field } };
}

/** Whether a reply says that the build is not known. */
export function isUnknownBuild({ status, envelope }: BuildReply): boolean {
  return status === 404 && envelope.status === 'error' && envelope.reason === 'request_id_unknown';
}

/** The reply to a poller, by what it was told. */
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
