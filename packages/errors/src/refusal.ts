import { codeOf, type Reason } from './reason.ts';

/** Why a request failed, in the terms of the envelope (docs/contract.md §2). */
export interface Failure {
  /** The code, which follows HTTP. */
  code: number;
  reason: Reason;
  /** For people. */
  message: string;
  /** The field of the request that has a wrong value, if one does. */
  field?: string | undefined;
  /** The requested host, where it has no stream to a broker. */
  hostId?: string | undefined;
}

/** A failure that ends a request, for the caller of that request. */
export interface Refusal extends Failure {
  /** The id of the request, empty where it had no valid one. */
  requestId: string;
}

/** Returns a failure with the code of its reason. */
export function failure(reason: Reason, message: string, field?: string): Failure {
  return { code: codeOf(reason), reason, message, field };
}

// Failures that several calls of the broker share. docs/contract.md §2 fixes their texts.

export const brokerFull = failure('broker_full', 'broker at pending-dispatch capacity');
export const brokerStopping = failure('broker_stopping', 'broker is stopping');
export const dispatchTimeout = failure('dispatch_timeout', 'dispatch timeout');
export const hostDisconnected = failure('host_disconnected', 'host disconnected');
export const hostNotReading = failure('host_not_reading', 'host does not read its stream');
export const requestIdInFlight = failure(
  'request_id_in_flight',
  'request_id already in flight',
  'request_id',
);
export const requestIdUnknown = failure('request_id_unknown', 'unknown request_id');

/** Returns the failure for a host that has no stream to any broker. */
export function hostNotConnected(hostId: string): Failure {
  return { ...failure('host_not_connected', 'host not connected'), hostId };
}
