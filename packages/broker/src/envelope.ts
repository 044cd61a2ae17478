import type { Refusal } from './router.ts';

/** The JSON every dispatch is answered with (docs/contract.md §2). */
export type Envelope =
  | { request_id: string; status: 'ok'; data: unknown }
  | { request_id: string; status: 'error'; code: number; message: string; field?: string };

export interface Reply {
  /** Speaks for the broker; the envelope's status speaks for the host. */
  status: number;
  envelope: Envelope;
}

/** A refusal that the broker itself raised, as an HTTP reply. */
export function refuse({ requestId, code, message, field }: Refusal): Reply {
  const error = { request_id: requestId, status: 'error', code, message } as const;
  return { status: code, envelope: field === undefined ? error : { ...error, field } };
}

/** An error that a host answered: the broker did its part, so HTTP says 200. */
export function relay(refusal: Refusal): Reply {
  return { ...refuse(refusal), status: 200 };
}
