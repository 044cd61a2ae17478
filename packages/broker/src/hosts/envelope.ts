import type { Reason, Refusal } from '@coold/errors';

/** The JSON every dispatch is answered with (docs/contract.md §2). */
export type Envelope =
  | { request_id: string; status: 'ok'; data: unknown }
  | {
      request_id: string;
      status: 'error';
      code: number;
      reason: Reason;
      message: string;
      field?: string;
      /** The host that is connected to no broker. */
      host_id?: string;
    };

export interface Reply {
  /** The HTTP status describes the broker's part; the envelope's status describes the host's. */
  status: number;
  envelope: Envelope;
}

/** Turns a refusal of the broker itself into an HTTP reply. */
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

/** An error from a host: the broker did its part, so the HTTP status is 200. */
export function relay(refusal: Refusal): Reply {
  return { ...refuse(refusal), status: 200 };
}
