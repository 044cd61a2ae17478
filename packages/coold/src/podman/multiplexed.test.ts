import fc from 'fast-check';
import { expect, it } from 'vitest';
import { demultiplexer, type Frame } from './multiplexed.ts';

function frame(kind: number, data: Buffer): Buffer {
  const header = Buffer.from([kind, 0, 0, 0, 0, 0, 0, 0]);
  header.writeUInt32BE(data.length, 4);
  return Buffer.concat([header, data]);
}

it('frames come out whole, wherever the bytes were cut', () => {
  const sent = fc.array(fc.tuple(fc.constantFrom(1, 2), fc.uint8Array({ maxLength: 50 })));
  fc.assert(
    fc.property(sent, fc.integer({ min: 1, max: 20 }), (frames, size) => {
      const bytes = Buffer.concat(frames.map(([kind, data]) => frame(kind, Buffer.from(data))));
      const read = demultiplexer();
      const got: Frame[] = [];
      for (let at = 0; at < bytes.length; at += size) got.push(...read(bytes.subarray(at, at + size)));
      expect(got.map(({ stream, data }) => [stream, data.toString('hex')])).toEqual(
        frames.map(([kind, data]) => [kind === 1 ? 'stdout' : 'stderr', Buffer.from(data).toString('hex')]),
      );
    }),
  );
});

it('an invalid frame is refused', () => {
  expect(() => demultiplexer()(Buffer.from('HTTP/1.1 200'))).toThrow(/frame/);
  expect(() => demultiplexer()(Buffer.from([1, 0, 0, 0, 255, 0, 0, 0]))).toThrow(/frame/);
});
