import type { Reason, Refusal } from '@coold/errors';

/** The JSON answer to every dispatch (docs/contract.md §2). */
export type Envelope =
  | { request_id: string; status: 'ok'; data: unknown }
  | {
      request_id: string;
      status: 'error';
      code: number;
      reason: Reason;
      message: string;
      field?: string;
      /** The host that has no stream to any broker. */
      host_id?: string;
    };

export interface Reply {
  /** The HTTP status is that of the broker; the envelope's status is that of the host. */
  status: number;
  envelope: Envelope;
}

/** Returns the HTTP reply for a refusal of the broker itself. */
export function refuse({ requestId, code, reason, message, field, hostId }: Refusal): Reply {
  const envelope: Envelope = {
    request_id: requestId,
    status: 'error',
    code,
    reason,
    message,
    ...(field === undefined ? {} : { field }),
    ...(hostId === undefined ? {} : { host_id: hostId }),
  };
  return { status: code, envelope };
}

/** An error of the host. The broker has done its part, so the HTTP status is 200. */
export function relay(refusal: Refusal): Reply {
  return { ...refuse(refusal), status: 200 };
}
