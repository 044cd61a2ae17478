import { create, type MessageShape, toBinary } from '@bufbuild/protobuf';
import { type Failure, reasonNumber } from '@coold/errors';
import { ClientMsgSchema, ErrorSchema, type Response, ResponseSchema } from '@coold/proto';

/** Encodes a failure for the stream. @param nonce of the build that failed */
export function errorMessage(
  { code, reason, message, field = '' }: Failure,
  nonce = '',
): MessageShape<typeof ErrorSchema> {
  return create(ErrorSchema, { code, reason: reasonNumber(reason), message, field, nonce });
}

/** The answer to a command that failed. */
export function failureResponse(requestId: string, failed: Failure): Response {
  return create(ResponseSchema, { requestId, body: { case: 'error', value: errorMessage(failed) } });
}

/** Encodes an answer as a frame of the stream. */
export function frame(response: Response): Buffer {
  return Buffer.from(
    toBinary(ClientMsgSchema, create(ClientMsgSchema, { payload: { case: 'response', value: response } })),
  );
}

export function failureFrame(requestId: string, failed: Failure): Buffer {
  return frame(failureResponse(requestId, failed));
}
