import type { Progress, StackRequest } from '@coold/builder-core';

/** The content of result.json and of its frame (docs/contract.md §7). */
export interface Result {
  digest: string;
  registry_ref: string;
  duration_ms: number;
  stack_used: StackRequest['name'];
}

/** The content of error.json and of its frame. */
export interface BuildErrorBody {
  code: number;
  message: string;
  stage: string;
}

export type Frame =
  | ({ type: 'progress' } & Progress)
  | { type: 'result'; ok: Result }
  | { type: 'error'; err: BuildErrorBody };

/** The longest log text of one frame, in characters. A longer text becomes several frames. */
export const maxLogLength = 8192;
/** The limit of all progress frames of a build, in bytes: about 30,000 lines of output. */
const maxProgressBytes = 4 << 20;

/** Returns a frame as a line of JSON. */
export function encodeFrame(frame: Frame): string {
  return `${JSON.stringify(frame)}\n`;
}

/**
 * Returns a function that encodes progress as lines. After `maxBytes` of logs, one line says that further output is dropped, and
 * only stages and percentages follow.
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
    // Do not split a surrogate pair.
    if (end < log.length && /[\ud800-\udbff]/.test(log.charAt(end - 1))) end -= 1;
    parts.push(log.slice(at, end).toWellFormed());
    at = end;
  }
  return parts;
}
