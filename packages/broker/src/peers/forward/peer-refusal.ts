import { type Failure, readReason, reasonNumber } from '@coold/errors';
import type { ForwardResponse } from '@coold/proto';

/** As `Refusal` of peer.proto has it. */
type PeerRefusal = Extract<ForwardResponse['body'], { case: 'refusal' }>['value'];

/** A failure as the other broker is told of it. */
export function peerRefusal({ code, reason, message, field = '' }: Failure) {
  return { code, reason: reasonNumber(reason), message, field };
}

/** What another broker refused with, in bounds. */
export function readPeerRefusal({ code, reason, message, field }: PeerRefusal): Failure {
  return {
    code,
    reason: readReason(reason, code),
    message: message.slice(0, 1024),
    field: field === '' ? undefined : field.slice(0, 128),
  };
}
