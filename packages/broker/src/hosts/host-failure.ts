import { type Failure, readReason } from '@coold/errors';
import type { Response } from '@coold/proto';

type HostError = Extract<Response['body'], { case: 'error' }>['value'];

/** Returns a host's refusal for its caller. When the host sent no reason, it gets the reason of its code. */
export function hostFailure({ code, reason, message, field }: HostError): Failure {
  return { code, reason: readReason(reason, code), message, field: field === '' ? undefined : field };
}
