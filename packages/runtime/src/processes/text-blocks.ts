const blockBytes = 64 * 1024;

/** Encodes parts of a text as UTF-8 in blocks of 64 KiB or more. Each block is made when it is requested, so a long text is never in memory as a whole. */
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
