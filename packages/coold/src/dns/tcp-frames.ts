/** Returns a message with its length in front, as DNS over TCP requires (RFC 1035 §4.2.2). */
export function framed(message: Buffer): Buffer {
  const frame = Buffer.allocUnsafe(2 + message.length);
  frame.writeUInt16BE(message.length, 0);
  message.copy(frame, 2);
  return frame;
}

/**
 * Splits a byte stream into messages. Each call gets the next bytes, cut anywhere. At most one incomplete message is
 * kept, 64 KiB.
 */
export function createMessageReader(onMessage: (message: Buffer) => void): (chunk: Buffer) => void {
  let chunks: Buffer[] = [];
  let length = 0;
  return chunk => {
    chunks.push(chunk);
    length += chunk.length;
    // Joined once the message is complete, not for every piece: pieces may be single bytes.
    if (length < wanted(chunks)) return;
    let rest = chunks.length === 1 ? chunk : Buffer.concat(chunks);
    while (rest.length >= 2 && rest.length >= 2 + rest.readUInt16BE(0)) {
      const end = 2 + rest.readUInt16BE(0);
      onMessage(rest.subarray(2, end));
      rest = rest.subarray(end);
    }
    chunks = rest.length === 0 ? [] : [rest];
    length = rest.length;
  };
}

/** The length of the first message including its prefix; two until the prefix is there. */
function wanted(chunks: readonly Buffer[]): number {
  const [first, second] = [chunks[0], chunks[1]];
  if (first === undefined) return 2;
  const low = first.length > 1 ? first[1] : second?.[0];
  return low === undefined ? 2 : 2 + (((first[0] ?? 0) << 8) | low);
}
