import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { readReason, reasonNumber } from '@coold/errors';
import { type BuildAnswer, BuildAnswerSchema } from '@coold/proto';
import type { BuildReply } from '../../builds/build-envelope.ts';

// What a broker answers another one about a build, to and from the replies of the build lane. Pure.

type Body = NonNullable<MessageInitShape<typeof BuildAnswerSchema>['body']>;

export function writeBuildAnswer(requestId: string, body: Body): Uint8Array {
  return toBinary(BuildAnswerSchema, create(BuildAnswerSchema, { requestId, body }));
}

/** A reply of the build lane, as the other broker is told it. */
export function bodyOfReply({ status, envelope }: BuildReply): Body {
  if (envelope.status === 'ok') {
    const { digest, registry_ref: registryRef, duration_ms } = envelope;
    return { case: 'result', value: { digest, registryRef, durationMs: BigInt(duration_ms) } };
  }
  const { code, reason, message, stage, field = '' } = envelope;
  return { case: 'refusal', value: { status, code, reason: reasonNumber(reason), message, stage, field } };
}

/** Undefined: it is none, or is for another build. */
export function readBuildAnswer(requestId: string, bytes: Uint8Array): BuildAnswer['body'] | undefined {
  try {
    const answer = fromBinary(BuildAnswerSchema, bytes);
    return answer.requestId === requestId ? answer.body : undefined;
  } catch {
    return undefined;
  }
}

/** HTTP statuses that the build lane answers with. */
const statuses = new Set([200, 400, 404, 408, 409, 413, 415, 500, 501, 502, 503, 504]);

/** What the other broker's own caller would have been told; in bounds. Undefined: no broker says that. */
export function replyOf(requestId: string, body: BuildAnswer['body']): BuildReply | undefined {
  if (body.case === 'result') {
    const { digest, registryRef: registry_ref, durationMs } = body.value;
    const duration_ms = Number(durationMs);
    return {
      status: 200,
      envelope: { request_id: requestId, status: 'ok', digest, registry_ref, duration_ms },
    };
  }
  if (body.case !== 'refusal') return undefined;
  const { status, code, reason, message, field, stage } = body.value;
  if (!statuses.has(status) || code < 400 || code > 599) return undefined;
  const error = {
    ...({ request_id: requestId, status: 'error' } as const),
    code,
    reason: readReason(reason, code),
    message: message.slice(0, maxMessage),
    stage: stage.slice(0, 128),
  };
  return { status, envelope: field === '' ? error : { ...error, field: field.slice(0, 128) } };
}

/** Characters; what a build fails with may be the end of its output. */
const maxMessage = 64 * 1024;
