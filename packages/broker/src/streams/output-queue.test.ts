import { maxStreamChunkBytes, StreamFrame_Source } from '@coold/proto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createOutputQueue, type Output } from './output-queue.ts';

const { STDERR, STDOUT } = StreamFrame_Source;

function takeAll(queue: ReturnType<typeof createOutputQueue>): Output[] {
  const all: Output[] = [];
  for (let output = queue.take(); output !== undefined; output = queue.take()) all.push(output);
  return all;
}

describe('queued output', () => {
  it('comes in its order, neighbours of one source together', () => {
    const queue = createOutputQueue();
    for (const [source, text] of [
      [STDOUT, 'a'],
      [STDOUT, 'b'],
      [STDERR, 'c'],
      [STDERR, ''],
      [STDOUT, 'd'],
    ] as const)
      queue.push(source, Buffer.from(text));
    expect(takeAll(queue).map(({ source, data }) => [source, String(data)])).toEqual([
      [STDOUT, 'ab'],
      [STDERR, 'c'],
      [STDOUT, 'd'],
    ]);
    queue.push(STDERR, Buffer.from('e'));
    queue.clear();
    expect(queue.take()).toBeUndefined();
  });

  it('never cuts a frame, nor makes one larger than the stream has them', () => {
    const queue = createOutputQueue();
    const sizes = [maxStreamChunkBytes - 1, 2, maxStreamChunkBytes * 2, 5, 6];
    for (const size of sizes) queue.push(STDOUT, Buffer.alloc(size));
    expect(takeAll(queue).map(({ data }) => data.length)).toEqual([
      maxStreamChunkBytes - 1,
      2,
      maxStreamChunkBytes * 2,
      11,
    ]);
  });

  it('is what was put in, whatever was taken in between', () => {
    const frame = fc.record({
      source: fc.constantFrom(STDOUT, STDERR),
      data: fc.oneof(
        fc.uint8Array({ maxLength: 20 }),
        fc.integer({ min: 0, max: 70_000 }).map(size => Buffer.alloc(size, size % 251)),
      ),
    });
    fc.assert(
      fc.property(fc.array(fc.oneof(frame, fc.constant('take' as const)), { maxLength: 80 }), steps => {
        const queue = createOutputQueue();
        const read: Output[] = [];
        const put: Output[] = [];
        for (const step of steps) {
          if (step === 'take') {
            const output = queue.take();
            if (output !== undefined) read.push(output);
          } else {
            queue.push(step.source, step.data);
            put.push({ source: step.source, data: Buffer.from(step.data) });
          }
        }
        read.push(...takeAll(queue));
        for (const source of [STDOUT, STDERR]) {
          const of = (outputs: Output[]) =>
            Buffer.concat(outputs.filter(output => output.source === source).map(({ data }) => data));
          expect(of(read).equals(of(put))).toBe(true);
        }
        const order = (outputs: Output[]) =>
          outputs.filter(({ data }) => data.length > 0).map(({ source }) => source);
        const runs = (sources: number[]) => sources.filter((source, at) => source !== sources[at - 1]);
        expect(runs(order(read))).toEqual(runs(order(put)));
      }),
    );
  });
});
