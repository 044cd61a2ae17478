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

/** A status with its message. */
export interface StatusReason {
  code: GrpcStatus;
  details: string;
}

/** The longest `grpc-message` in characters; it may quote what a host sent. */
const maxDetails = 512;

/** Encodes a message for the header `grpc-message`: printable ASCII, everything else percent-encoded. */
export function grpcMessage(details: string): string {
  return encodeURI(details.slice(0, maxDetails).toWellFormed());
}

/** Decodes the header, up to `maxDetails` characters; empty when there is none. */
export function readGrpcMessage(header: unknown): string {
  const text = typeof header === 'string' ? header : '';
  try {
    return decodeURIComponent(text).slice(0, maxDetails);
  } catch {
    return text.slice(0, maxDetails);
  }
}
