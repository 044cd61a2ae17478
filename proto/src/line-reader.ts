import { FieldError } from './field-error.ts';

/** Splits bytes as they come into the lines they make; holds no more than one line that has not ended. */
export interface LineReader {
  /** @returns the lines that these bytes complete, without their ends @throws FieldError naming a line that is too long */
  push(bytes: Uint8Array): Buffer[];
  /** @returns what came after the last end of a line, where there is anything */
  end(): Buffer[];
}

const newline = 0x0a;
const maxParts = 256;

/** @param maxBytes of one line, without its end */
export function createLineReader(maxBytes: number): LineReader {
  let parts: Buffer[] = [];
  let size = 0;
  let lines = 0;

  function keep(part: Buffer): void {
    if (size + part.length > maxBytes)
      throw new FieldError(`lines[${lines}]`, `expected at most ${maxBytes} bytes`);
    if (part.length === 0) return;
    parts.push(part);
    size += part.length;
    // A line that comes a byte at a time would weigh a hundred times what it holds.
    if (parts.length === maxParts) parts = [Buffer.concat(parts)];
  }
  function take(): Buffer {
    const line = parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts);
    parts = [];
    size = 0;
    lines += 1;
    return line;
  }

  return {
    push(bytes) {
      const chunk = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      const complete: Buffer[] = [];
      let from = 0;
      for (let at = chunk.indexOf(newline); at !== -1; at = chunk.indexOf(newline, from)) {
        keep(chunk.subarray(from, at));
        complete.push(take());
        from = at + 1;
      }
      keep(chunk.subarray(from));
      return complete;
    },
    end: () => (size === 0 ? [] : [take()]),
  };
}
