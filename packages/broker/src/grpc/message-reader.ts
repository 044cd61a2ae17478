import { grpcStatus, type StatusReason } from './grpc-status.ts';

/** Splits a byte stream into gRPC messages: a flag, four bytes of length, the message. */
export interface MessageReader {
  /**
   * Takes the next bytes and passes every complete message to `onMessage`. Returns why the stream must end, if it must.
   *
   * @param maxBytes of a message; a longer one is refused before any of it is kept
   */
  read(chunk: Buffer, maxBytes: () => number, onMessage: (message: Buffer) => void): StatusReason | undefined;
}

const headBytes = 5;

export function createMessageReader(): MessageReader {
  /** An incomplete head. */
  let head: Buffer | undefined;
  /**
   * An incomplete message in a buffer of its full length: a sender of single bytes costs no more than that, and memory
   * for bytes that were never sent is never touched.
   */
  let partial: { bytes: Buffer; filled: number } | undefined;

  return {
    read(chunk, maxBytes, onMessage) {
      let rest = chunk;
      while (rest.length > 0) {
        if (partial !== undefined) {
          const copied = rest.copy(partial.bytes, partial.filled);
          partial.filled += copied;
          rest = rest.subarray(copied);
          if (partial.filled < partial.bytes.length) return undefined;
          const { bytes } = partial;
          partial = undefined;
          onMessage(bytes);
          continue;
        }
        if (head !== undefined) {
          rest = Buffer.concat([head, rest]);
          head = undefined;
        }
        if (rest.length < headBytes) {
          head = Buffer.from(rest);
          return undefined;
        }
        if (rest[0] !== 0)
          return { code: grpcStatus.UNIMPLEMENTED, details: 'compressed messages are not accepted' };
        const length = rest.readUInt32BE(1);
        const limit = maxBytes();
        if (length > limit)
          return {
            code: grpcStatus.RESOURCE_EXHAUSTED,
            details: `message of ${length} bytes is over the limit of ${limit}`,
          };
        if (rest.length < headBytes + length) {
          partial = { bytes: Buffer.allocUnsafeSlow(length), filled: 0 };
          rest = rest.subarray(headBytes);
          continue;
        }
        const message = rest.subarray(headBytes, headBytes + length);
        rest = rest.subarray(headBytes + length);
        onMessage(message);
      }
      return undefined;
    },
  };
}

/** Returns a message with its head, ready to be written. */
export function frameMessage(message: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(headBytes + message.length);
  frame[0] = 0;
  frame.writeUInt32BE(message.length, 1);
  frame.set(message, headBytes);
  return frame;
}
