import { maxStreamChunkBytes, StreamFrame_Source } from '@coold/proto';

/** Output of a program or a container, and which of its two streams it came from. */
export interface Output {
  source: StreamFrame_Source;
  data: Buffer;
}

/**
 * Output that the reader has not taken yet. It uses little more memory than its bytes, however small its frames were: a
 * program that writes a byte at a time must not cost a hundred bytes each.
 */
export interface OutputQueue {
  push(source: StreamFrame_Source, data: Uint8Array): void;
  /** Returns the oldest frames of one source, up to 64 KiB together. No frame is cut. */
  take(): Output | undefined;
  clear(): void;
}

const smallestBlockBytes = 4096;

export function createOutputQueue(): OutputQueue {
  /** For each frame: twice its length, plus one if it is of stderr. */
  let marks: number[] = [];
  let firstMark = 0;
  let blocks: Buffer[] = [];
  /** The position of the oldest byte in the first block, and of the next byte in the last block. */
  let readAt = 0;
  let writeAt = 0;

  function clear(): void {
    marks = [];
    firstMark = 0;
    blocks = [];
    readAt = 0;
    writeAt = 0;
  }

  function append(data: Uint8Array): void {
    for (let from = 0; from < data.length; ) {
      let block = blocks.at(-1);
      if (block === undefined || writeAt === block.length) {
        const wanted = Math.max(data.length - from, (block?.length ?? 0) * 2, smallestBlockBytes);
        block = Buffer.allocUnsafe(Math.min(wanted, maxStreamChunkBytes));
        blocks.push(block);
        writeAt = 0;
      }
      const part = data.subarray(from, from + block.length - writeAt);
      block.set(part, writeAt);
      writeAt += part.length;
      from += part.length;
    }
  }

  function remove(length: number): Buffer {
    const parts: Buffer[] = [];
    for (let left = length; left > 0; ) {
      const [block] = blocks;
      if (block === undefined) break;
      const part = block.subarray(readAt, readAt + left);
      parts.push(part);
      left -= part.length;
      readAt += part.length;
      if (readAt < block.length) continue;
      blocks.shift();
      readAt = 0;
    }
    return parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts);
  }

  return {
    push(source, data) {
      if (data.length === 0) return;
      marks.push(data.length * 2 + (source === StreamFrame_Source.STDERR ? 1 : 0));
      append(data);
    },
    take() {
      const first = marks[firstMark];
      if (first === undefined) return undefined;
      let length = 0;
      for (
        let mark = marks[firstMark];
        mark !== undefined && mark % 2 === first % 2;
        mark = marks[firstMark]
      ) {
        if (length > 0 && length + (mark >> 1) > maxStreamChunkBytes) break;
        length += mark >> 1;
        firstMark += 1;
      }
      const data = remove(length);
      if (firstMark === marks.length) clear();
      else if (firstMark > 1024 && firstMark * 2 > marks.length) {
        marks = marks.slice(firstMark);
        firstMark = 0;
      }
      return { source: first % 2 === 1 ? StreamFrame_Source.STDERR : StreamFrame_Source.STDOUT, data };
    },
    clear,
  };
}
