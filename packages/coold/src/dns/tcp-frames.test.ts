import fc from 'fast-check';
import { expect, it } from 'vitest';
import { createMessageReader, framed } from './tcp-frames.ts';

it('messages come out as they went in, however the stream is cut', () => {
  const messages = fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 8 });
  fc.assert(
    fc.property(messages, fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1 }), (list, cuts) => {
      const stream = Buffer.concat(list.map(message => framed(Buffer.from(message))));
      const seen: Buffer[] = [];
      const read = createMessageReader(message => seen.push(message));
      for (let at = 0, turn = 0; at < stream.length; turn += 1) {
        const size = cuts[turn % cuts.length] ?? 1;
        read(stream.subarray(at, at + size));
        at += size;
      }
      expect(seen.map(message => [...message])).toEqual(list.map(message => [...message]));
    }),
  );
});
