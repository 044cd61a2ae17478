import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { batchSize, createDatagramVectors } from './datagram-vectors.ts';

/** Where the memory is said to be; nothing is ever read there. */
const base = 0x7f12_3456_7000n;

/** The vectors, and what C would find at an address. */
function made() {
  let memory = new ArrayBuffer(0);
  const vectors = createDatagramVectors(given => {
    memory = given;
    return base;
  });
  const at = (address: bigint, length: number) => new DataView(memory, Number(address - base), length);
  /** A `struct mmsghdr` and what it points to. */
  const header = (address: bigint) => {
    const own = at(address, 64);
    const vector = at(own.getBigUint64(16, true), 16);
    return {
      nameBytes: own.getUint32(8, true),
      vectors: own.getBigUint64(24, true),
      control: own.getBigUint64(32, true),
      name: at(own.getBigUint64(0, true), 16),
      room: Number(vector.getBigUint64(8, true)),
      content: (length: number) => at(vector.getBigUint64(0, true), length),
      came: (length: number) => own.setUint32(56, length, true),
    };
  };
  return { vectors, header };
}

function nth(received: bigint, index: number): bigint {
  return received + BigInt(index) * 64n;
}

const bytesOf = (view: DataView) => Buffer.from(view.buffer, view.byteOffset, view.byteLength);

const datagrams = fc.array(
  fc.record({
    bytes: fc.uint8Array({ maxLength: 600 }),
    address: fc.ipV4(),
    port: fc.integer({ min: 0, max: 65_535 }),
  }),
  { maxLength: batchSize },
);

describe('vectors', () => {
  it('give each datagram room for all that UDP carries, one vector, an address and nothing else', () => {
    const { vectors, header } = made();
    for (let index = 0; index < batchSize; index += 1)
      expect(header(nth(vectors.received, index))).toMatchObject({
        ...{ nameBytes: 16, vectors: 1n, control: 0n, room: 65_536 },
      });
  });

  it('tell what the kernel put there, and hand it back as it is read', () => {
    const { vectors, header } = made();
    fc.assert(
      fc.property(datagrams, fc.nat(), (came, skip) => {
        for (const [index, { bytes, address, port }] of came.entries()) {
          const { name, content, came: length } = header(nth(vectors.received, index));
          name.setUint16(0, 2, true);
          name.setUint16(2, port);
          bytesOf(name).set(address.split('.').map(Number), 4);
          bytesOf(content(bytes.length)).set(bytes);
          length(bytes.length);
        }
        // Not all are answered, and those that are stand side by side.
        const answered = [...came.keys()].filter(index => index % ((skip % 3) + 1) === 0);
        for (const [place, index] of answered.entries()) {
          expect(vectors.message(index).equals(came[index]?.bytes ?? Buffer.alloc(0))).toBe(true);
          const reply = Buffer.concat([Buffer.from('re:'), vectors.message(index)]);
          expect(vectors.putReply(place, index, reply)).toBe(true);
        }
        for (const [place, index] of answered.entries()) {
          const { address, port, bytes } = came[index] ?? { address: '', port: 0, bytes: new Uint8Array() };
          const reply = Buffer.concat([Buffer.from('re:'), bytes]);
          expect(vectors.reply(place)).toEqual({ bytes: reply, port, address });
          const { name, nameBytes, vectors: count, room, content } = header(vectors.replies(place));
          expect({ nameBytes, count, room }).toEqual({ nameBytes: 16, count: 1n, room: reply.length });
          expect(bytesOf(content(room)).equals(reply)).toBe(true);
          expect(name.getUint16(0, true)).toBe(2);
          expect(name.getUint16(2)).toBe(port);
          expect([...bytesOf(name).subarray(4, 8)].join('.')).toBe(address);
        }
      }),
    );
  });

  it('take replies as long as any over UDP of ours, and no longer ones', () => {
    const { vectors } = made();
    expect(vectors.putReply(0, 0, Buffer.alloc(4096))).toBe(true);
    expect(vectors.putReply(0, 0, Buffer.alloc(4097))).toBe(false);
  });
});
