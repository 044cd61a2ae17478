import type { X509Certificate } from 'node:crypto';
import { type GrpcStatus, grpcStatus } from '../../grpc/grpc-status.ts';
import type { CheckSender } from './peer-sender.ts';

/**
 * Why a request of another broker is refused. `misled`: it comes from this broker itself, or is for another one. `impostor`: its
 * sender is not the broker that it claims to be. `malformed`: it does not follow the schema or its rules.
 */
export interface RefusedRequest {
  outcome: 'misled' | 'impostor' | 'malformed';
  why: string;
}

/** What a request is checked against. */
export interface SenderChecks {
  /** The id of this broker. */
  brokerId: string;
  checkSender: CheckSender;
  /** The certificate that the sender showed. */
  certificate: X509Certificate;
}

/**
 * Returns why a request is refused by its ids, undefined where it is not: an address that changed hands, a way that leads back
 * here, or the certificate of another broker.
 */
export function refuseSender(
  { fromBrokerId, toBrokerId }: { fromBrokerId: string; toBrokerId: string },
  { brokerId, checkSender, certificate }: SenderChecks,
): RefusedRequest | undefined {
  if (fromBrokerId === brokerId) return { outcome: 'misled', why: `broker ${brokerId} was led to itself` };
  if (toBrokerId !== brokerId)
    return { outcome: 'misled', why: `this is broker ${brokerId}, not ${toBrokerId.slice(0, 128)}` };
  const why = checkSender(fromBrokerId, certificate);
  return why === undefined ? undefined : { outcome: 'impostor', why };
}

/** Returns the gRPC status with which the call of a refused request ends. */
export function statusOf(outcome: RefusedRequest['outcome']): GrpcStatus {
  switch (outcome) {
    case 'misled':
      return grpcStatus.FAILED_PRECONDITION;
    case 'impostor':
      return grpcStatus.PERMISSION_DENIED;
    case 'malformed':
      return grpcStatus.INVALID_ARGUMENT;
  }
}
