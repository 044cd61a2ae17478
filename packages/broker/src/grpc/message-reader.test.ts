import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { grpcStatus } from './grpc-status.ts';
import { createMessageReader, frameMessage } from './message-reader.ts';

function readAll(chunks: readonly Buffer[], maxBytes = 1 << 20) {
  const reader = createMessageReader();
  const messages: Buffer[] = [];
  for (const chunk of chunks) {
    const refused = reader.read(
      chunk,
      () => maxBytes,
      message => messages.push(message),
    );
    if (refused !== undefined) return { messages, refused };
  }
  return { messages, refused: undefined };
}

describe('messages', () => {
  it('are the same however their bytes are cut', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 10 }),
        fc.array(fc.integer({ min: 1, max: 64 }), { minLength: 1, maxLength: 50 }),
        (sent, cuts) => {
          const bytes = Buffer.concat(sent.map(frameMessage));
          const chunks: Buffer[] = [];
          for (let at = 0, n = 0; at < bytes.length; n += 1) {
            const size = cuts[n % cuts.length] ?? 1;
            chunks.push(bytes.subarray(at, at + size));
            at += size;
          }
          const { messages, refused } = readAll(chunks);
          expect(refused).toBeUndefined();
          expect(messages.map(message => [...message])).toEqual(sent.map(message => [...message]));
        },
      ),
    );
  });

  it('that are too long are refused by their head, before any of them is kept', () => {
    const { messages, refused } = readAll(
      [frameMessage(Buffer.alloc(10)), Buffer.from([0, 0, 0, 0, 11])],
      10,
    );
    expect(messages).toHaveLength(1);
    expect(refused?.code).toBe(grpcStatus.RESOURCE_EXHAUSTED);
  });

  it('that are compressed are refused', () => {
    expect(readAll([Buffer.from([1, 0, 0, 0, 0])]).refused?.code).toBe(grpcStatus.UNIMPLEMENTED);
  });
});
