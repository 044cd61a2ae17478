/**
 * Lines for the standard input of a tool, each with its end. Written one by one into bytes, so that of thousands no more than one
 * is text at a time.
 */
export function scriptBytes(lines: Iterable<string>): Uint8Array {
  let bytes = Buffer.allocUnsafe(4096);
  let used = 0;
  for (const line of lines) {
    // A character of UTF-16 is at most three bytes.
    const room = used + line.length * 3 + 1;
    if (room > bytes.length) {
      const larger = Buffer.allocUnsafe(Math.max(room, bytes.length * 2));
      bytes.copy(larger, 0, 0, used);
      bytes = larger;
    }
    used += bytes.write(line, used);
    bytes[used] = 0x0a;
    used += 1;
  }
  return bytes.subarray(0, used);
}
