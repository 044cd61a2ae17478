import type { BuildResponseBody } from '@coold/proto';
import type { BuildOutcome } from './build-table.ts';
import type { Refusal } from './router.ts';

/** What the build lane's calls answer with (docs/contract.md §2). */
export type BuildEnvelope =
  | { request_id: string; status: 'ok'; digest: string; registry_ref: string; duration_ms: number }
  | {
      request_id: string;
      status: 'error';
      code: number;
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
export function refuseBuild(stage: BuildCall, { requestId, code, message, field }: Refusal): BuildReply {
  const error = { request_id: requestId, status: 'error', code, message, stage } as const;
  return { status: code, envelope: field === undefined ? error : { ...error, field } };
}

/** The reply to a poller, by what it was told. */
export function concludeBuild(requestId: string, outcome: BuildOutcome): BuildReply {
  const refused = (code: number, message: string) => refuseBuild('result', { requestId, code, message });
  switch (outcome.kind) {
    case 'timeout':
      return refused(408, 'result poll timed out');
    case 'unknown':
      return refused(404, 'unknown request_id');
    case 'host gone':
      return refused(503, 'builder host disconnected');
    case 'lost':
      return refused(503, 'builder host came back without the build');
    case 'stopping':
      return refused(503, 'broker is stopping');
    case 'answered':
      break;
  }
  const { hostId, body } = outcome;
  switch (body.case) {
    case 'build':
      return concludeResult(requestId, hostId, body.value);
    case 'error': {
      const { code, message, field } = body.value;
      const refusal = { requestId, code, message, field: field === '' ? undefined : field };
      return { ...refuseBuild('dispatch', refusal), status: 200 };
    }
    default:
      return refused(500, `host ${hostId} answered a build with ${body.case ?? 'nothing it knows'}`);
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
      return { status: 200, envelope: { request_id: requestId, status: 'error', code, message, stage } };
    }
    case undefined: {
      const message = `host ${hostId} answered neither a result nor an error`;
      return refuseBuild('result', { requestId, code: 500, message });
    }
  }
}
