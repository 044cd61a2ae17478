/** The gRPC status codes that a host's stream can end with. */
export const grpcStatus = {
  OK: 0,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  UNAUTHENTICATED: 16,
} as const;

export type GrpcStatus = (typeof grpcStatus)[keyof typeof grpcStatus];

/** A status with its words. */
export interface StatusReason {
  code: GrpcStatus;
  details: string;
}

/** Longest `grpc-message` in characters; what a host sent may be quoted in it. */
const maxDetails = 512;

/** Words for the header `grpc-message`: printable ASCII, the rest percent-encoded, whatever is in them. */
export function grpcMessage(details: string): string {
  return encodeURI(details.slice(0, maxDetails).toWellFormed());
}

/** The words back, of a sender that is not trusted with more than `maxDetails` of them; empty: there are none. */
export function readGrpcMessage(header: unknown): string {
  const text = typeof header === 'string' ? header : '';
  try {
    return decodeURIComponent(text).slice(0, maxDetails);
  } catch {
    return text.slice(0, maxDetails);
  }
}
