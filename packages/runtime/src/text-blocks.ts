const blockBytes = 64 * 1024;

/** Text in parts as UTF-8 in blocks, each made as it is taken: thousands of lines are neither all text nor all bytes at once. */
export function* textBlocks(parts: Iterable<string>): Generator<Uint8Array> {
  let block = Buffer.allocUnsafe(blockBytes);
  let used = 0;
  for (const part of parts) {
    // A character of UTF-16 is at most three bytes.
    const most = part.length * 3;
    if (used + most > block.length) {
      if (used > 0) yield block.subarray(0, used);
      block = Buffer.allocUnsafe(Math.max(blockBytes, most));
      used = 0;
    }
    used += block.write(part, used);
  }
  if (used > 0) yield block.subarray(0, used);
}
