import { create } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type StreamInput, StreamInputSchema } from '../gen/coolify/agent/v1/streaming_pb.js';
import {
  encodeOutput,
  encodeStreamError,
  readInputLines,
  readStreamInput,
  splitStdin,
} from './stream-lines.ts';

/** As a caller of either transport writes it. */
function line({ input }: StreamInput): object {
  switch (input.case) {
    case 'stdin':
      return { stdin: Buffer.from(input.value).toString('base64'), encoding: 'base64' };
    case 'resize':
      return { resize: { cols: input.value.cols, rows: input.value.rows } };
    case 'eof':
      return { eof: true };
    case undefined:
      return {};
  }
}

async function collect(chunks: readonly Uint8Array[], maxBytes?: number): Promise<StreamInput[]> {
  const inputs: StreamInput[] = [];
  async function* body() {
    yield* chunks;
  }
  for await (const input of readInputLines(body(), maxBytes)) inputs.push(input);
  return inputs;
}

const anyInput = fc.oneof(
  fc
    .uint8Array({ maxLength: 300 })
    .map(value => create(StreamInputSchema, { input: { case: 'stdin', value } })),
  fc
    .record({ cols: fc.integer({ min: 1, max: 0xffff }), rows: fc.integer({ min: 1, max: 0xffff }) })
    .map(value => create(StreamInputSchema, { input: { case: 'resize', value } })),
  fc.constant(create(StreamInputSchema, { input: { case: 'eof', value: true } })),
);

describe('a frame as a line', () => {
  it('has its text', () => {
    expect(encodeOutput('stdout', Buffer.from('é\n'))).toEqual({ stream: 'stdout', data: 'é\n' });
    expect(encodeOutput('stderr', Buffer.from('\ufeff'))).toEqual({ stream: 'stderr', data: '\ufeff' });
  });

  it('gives its bytes back, text or not', () => {
    fc.assert(
      fc.property(fc.constantFrom('stdout', 'stderr'), fc.uint8Array(), (source, data) => {
        const encoded = JSON.parse(JSON.stringify(encodeOutput(source, data))) as {
          data: string;
          encoding?: 'base64';
        };
        expect(Buffer.from(encoded.data, encoded.encoding ?? 'utf8')).toEqual(Buffer.from(data));
      }),
    );
  });
});

it('an error as a line names its field where there is one', () => {
  expect(encodeStreamError({ code: 502, reason: 'podman_failed', message: 'm' })).toEqual({
    error: 'm',
    code: 502,
    reason: 'podman_failed',
  });
  const error = { code: 409, reason: 'in_use', message: 'm', field: 'id' };
  expect(encodeStreamError(error)).toEqual({ error: 'm', code: 409, reason: 'in_use', field: 'id' });
});

describe('a line of input', () => {
  it('is stdin as text or base64, a resize, or the end', () => {
    expect(readStreamInput({ stdin: 'é' }).input).toEqual({ case: 'stdin', value: Buffer.from('é') });
    expect(readStreamInput({ stdin: '/wA=', encoding: 'base64' }).input).toEqual({
      case: 'stdin',
      value: Buffer.from([255, 0]),
    });
    expect(readStreamInput({ resize: { cols: 80, rows: 24 } }).input).toMatchObject({
      case: 'resize',
      value: { cols: 80, rows: 24 },
    });
    expect(readStreamInput({ eof: true }).input).toEqual({ case: 'eof', value: true });
  });

  it.each<[unknown, string]>([
    [null, 'input'],
    [[], 'input'],
    [{}, 'input'],
    [{ stdin: 'a', eof: true }, 'input'],
    [{ stdin: 5 }, 'stdin'],
    [{ stdin: '\ud800' }, 'stdin'],
    [{ stdin: 'a', encoding: 'base64' }, 'stdin'],
    [{ stdin: 'a\nb=', encoding: 'base64' }, 'stdin'],
    [{ stdin: 'a', encoding: 'hex' }, 'encoding'],
    [{ eof: true, encoding: 'base64' }, 'encoding'],
    [{ resize: 80 }, 'resize'],
    [{ resize: { cols: 0, rows: 24 } }, 'resize.cols'],
    [{ resize: { cols: 80 } }, 'resize.rows'],
    [{ resize: { cols: 80, rows: 65536 } }, 'resize.rows'],
    [{ resize: { cols: 80, rows: 24, depth: 1 } }, 'resize.depth'],
    [{ eof: false }, 'eof'],
    [{ signal: 'TERM' }, 'signal'],
  ])('%j is refused, naming %s', (value, field) => {
    expect(() => readStreamInput(value)).toThrow(expect.objectContaining({ name: 'FieldError', field }));
  });

  it('is cut into parts that the stream takes', () => {
    const value = Buffer.alloc(150_000, 'a');
    const parts = splitStdin(create(StreamInputSchema, { input: { case: 'stdin', value } }));
    expect(parts.map(({ input }) => (input.case === 'stdin' ? input.value.length : 0))).toEqual([
      65_536, 65_536, 18_928,
    ]);
  });
});

describe('lines of input', () => {
  it('are what was written, however they are cut', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(anyInput), fc.integer({ min: 1, max: 50 }), async (inputs, step) => {
        const bytes = Buffer.from(inputs.map(input => `${JSON.stringify(line(input))}\r\n`).join('\n'));
        const chunks: Buffer[] = [];
        for (let at = 0; at < bytes.length; at += step) chunks.push(bytes.subarray(at, at + step));
        expect((await collect(chunks)).map(line)).toEqual(inputs.map(line));
      }),
      { numRuns: 50 },
    );
  });

  it.each<[string, string]>([
    ['{"eof":true}\nnonsense', 'lines[1]'],
    ['{"eof":true}\n\n{"stdin":5}\n', 'lines[2].stdin'],
    ['{"resize":{"__proto__":1}}', 'lines[0].resize.__proto__'],
    [`{"stdin":"${'x'.repeat(200)}"}`, 'lines[0]'],
    ['{"eof":1}', 'lines[0].eof'],
  ])('%j is refused, naming %s', async (text, field) => {
    await expect(collect([Buffer.from(text)], 100)).rejects.toMatchObject({ name: 'FieldError', field });
  });
});
