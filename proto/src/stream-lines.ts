import { isUtf8 } from 'node:buffer';
import { create } from '@bufbuild/protobuf';
import { type StreamInput, StreamInputSchema } from '../gen/coolify/agent/v1/streaming_pb.js';
import { FieldError } from './field-error.ts';
import { readJsonText } from './json-text.ts';
import { createLineReader } from './line-reader.ts';

/** The longest stdin of one StreamInput and the most data of one StreamFrame, in bytes. */
export const maxStreamChunkBytes = 64 * 1024;
/** The longest line that a caller may send. */
export const maxInputLineBytes = 1024 * 1024;

/** What a program or a container wrote, as JSON has it (docs/contract.md §3). */
export interface OutputLine {
  stream: 'stdout' | 'stderr';
  data: string;
  /** Where the data is not UTF-8. */
  encoding?: 'base64';
}

export function encodeOutput(stream: OutputLine['stream'], data: Uint8Array): OutputLine {
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  return isUtf8(bytes)
    ? { stream, data: bytes.toString('utf8') }
    : { stream, data: bytes.toString('base64'), encoding: 'base64' };
}

/** How a stream that had begun went wrong, as the last line of its answer. */
export function encodeStreamError({ code, reason, message, field }: StreamError): object {
  return { error: message, code, reason, ...(field === undefined ? {} : { field }) };
}

export interface StreamError {
  /** HTTP-shaped. */
  code: number;
  /** One of reason.proto, in lower case. */
  reason: string;
  message: string;
  field?: string | undefined;
}

/**
 * Reads one line of input: `{"stdin":…,"encoding"?:"base64"}`, `{"resize":{"cols","rows"}}` or `{"eof":true}`. Its stdin
 * may be longer than one StreamInput carries: see `splitStdin`.
 *
 * @param at where it stands, before the field in an error: `lines[2]`
 * @throws FieldError naming the field
 */
export function readStreamInput(value: unknown, at = ''): StreamInput {
  const { stdin, encoding, resize, eof, ...others } = object(value, at === '' ? 'input' : at);
  const [unknown] = Object.keys(others);
  if (unknown !== undefined) throw new FieldError(within(at, unknown), 'is not a field of this request');
  if (encoding !== undefined && (encoding !== 'base64' || stdin === undefined))
    throw new FieldError(within(at, 'encoding'), 'expected "base64" beside stdin, or nothing');
  const given = [stdin, resize, eof].filter(part => part !== undefined).length;
  if (given !== 1) throw new FieldError(at === '' ? 'input' : at, 'expected one of stdin, resize and eof');
  if (stdin !== undefined) {
    const bytes = stdinBytes(stdin, encoding === 'base64', within(at, 'stdin'));
    return create(StreamInputSchema, { input: { case: 'stdin', value: bytes } });
  }
  if (resize !== undefined) {
    const field = within(at, 'resize');
    const { cols, rows, ...more } = object(resize, field);
    const [stray] = Object.keys(more);
    if (stray !== undefined) throw new FieldError(within(field, stray), 'is not a field of this request');
    const size = { cols: side(cols, within(field, 'cols')), rows: side(rows, within(field, 'rows')) };
    return create(StreamInputSchema, { input: { case: 'resize', value: size } });
  }
  if (eof !== true) throw new FieldError(within(at, 'eof'), 'expected true');
  return create(StreamInputSchema, { input: { case: 'eof', value: true } });
}

/** An input as so many that each is within the limit of the stream. */
export function splitStdin(input: StreamInput): StreamInput[] {
  const { case: kind, value } = input.input;
  if (kind !== 'stdin' || value.length <= maxStreamChunkBytes) return [input];
  const parts: StreamInput[] = [];
  for (let from = 0; from < value.length; from += maxStreamChunkBytes) {
    const part = value.subarray(from, from + maxStreamChunkBytes);
    parts.push(create(StreamInputSchema, { input: { case: 'stdin', value: part } }));
  }
  return parts;
}

/**
 * Reads NDJSON of inputs as it comes, never more of it than one line and the chunk at hand; empty lines are none. Each
 * input is within the limit of the stream.
 *
 * @throws FieldError naming line and field, `lines[2].resize.cols`, counted from 0
 */
export async function* readInputLines(
  body: AsyncIterable<Uint8Array>,
  maxLineBytes = maxInputLineBytes,
): AsyncGenerator<StreamInput, void, void> {
  const reader = createLineReader(maxLineBytes);
  let count = 0;
  const inputs = (line: Buffer): StreamInput[] => {
    const at = `lines[${count}]`;
    count += 1;
    if (line.length === 0) return [];
    return splitStdin(readStreamInput(lineValue(line, at), at));
  };
  for await (const chunk of body) for (const line of reader.push(chunk)) yield* inputs(line);
  for (const line of reader.end()) yield* inputs(line);
}

function lineValue(line: Buffer, at: string): unknown {
  try {
    return readJsonText(line);
  } catch (error) {
    if (!(error instanceof FieldError)) throw error;
    const expected = error.message.slice(`${error.field}: `.length);
    throw new FieldError(error.field === 'body' ? at : within(at, error.field), expected);
  }
}

function stdinBytes(value: unknown, base64: boolean, at: string): Uint8Array {
  // A lone surrogate is no text: it would be replaced on its way to the program.
  if (typeof value !== 'string' || !value.isWellFormed()) throw new FieldError(at, 'expected text');
  if (!base64) return Buffer.from(value, 'utf8');
  if (value.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(value))
    throw new FieldError(at, 'expected base64 text');
  return Buffer.from(value, 'base64');
}

/** The kernel keeps either side of a terminal in 16 bits. */
function side(value: unknown, at: string): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 1 || value > 0xffff)
    throw new FieldError(at, 'expected a whole number from 1 to 65535');
  return value;
}

function object(value: unknown, at: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new FieldError(at, 'expected an object');
  return value as Record<string, unknown>;
}

const within = (at: string, field: string) => (at === '' ? field : `${at}.${field}`);
