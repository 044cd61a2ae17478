import type { Progress, StackRequest } from '@coold/builder-core';

/** result.json, and what its frame carries (docs/contract.md §7). */
export interface Result {
  digest: string;
  registry_ref: string;
  duration_ms: number;
  stack_used: StackRequest['name'];
}

/** error.json, and what its frame carries. */
export interface BuildErrorBody {
  code: number;
  message: string;
  stage: string;
}

export type Frame =
  | ({ type: 'progress' } & Progress)
  | { type: 'result'; ok: Result }
  | { type: 'error'; err: BuildErrorBody };

/** Longest log of one frame, in characters; what is longer is several frames. */
export const maxLogLength = 8192;
/** Of all progress frames together, in bytes; about 30,000 lines of output. */
export const maxProgressBytes = 4 << 20;

export function encodeFrame(frame: Frame): string {
  return `${JSON.stringify(frame)}\n`;
}

/**
 * Turns progress into lines until they are too much: then one says so, and only stages and percentages follow, which are
 * few.
 */
export function createProgressEncoder(maxBytes = maxProgressBytes): (progress: Progress) => string[] {
  let left = maxBytes;
  return ({ stage, percent, log }) => {
    const frame = (text: string) => encodeFrame({ type: 'progress', stage, log: text, percent });
    if (log === '') return [frame('')];
    const lines: string[] = [];
    for (const part of split(log)) {
      if (left <= 0) break;
      const line = frame(part);
      left -= Buffer.byteLength(line);
      lines.push(left > 0 ? line : frame(`output after the first ${maxBytes} bytes is not kept`));
    }
    return lines;
  };
}

function split(log: string): string[] {
  const parts: string[] = [];
  for (let at = 0; at < log.length; ) {
    let end = Math.min(at + maxLogLength, log.length);
    // Not between the halves of a character beyond the 16-bit plane.
    if (end < log.length && /[\ud800-\udbff]/.test(log.charAt(end - 1))) end -= 1;
    parts.push(log.slice(at, end).toWellFormed());
    at = end;
  }
  return parts;
}
