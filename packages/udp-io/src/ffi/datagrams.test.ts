import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ipv4Number } from '../ipv4.ts';
import { createDatagrams, type DatagramsOptions } from './datagrams.ts';

/** Where the memory is said to be; nothing is ever read there. */
const base = 0x7f12_3456_7000n;
const count = 32;

/** The datagrams, and what C would find at an address. */
function made(options: Partial<DatagramsOptions> = {}) {
  let memory = new ArrayBuffer(0);
  const addressOf = (given: ArrayBuffer) => {
    memory = given;
    return base;
  };
  const datagrams = createDatagrams(addressOf, { count, bytesEach: 4096, hasAddress: true, ...options });
  const at = (address: bigint, length: number) => new DataView(memory, Number(address - base), length);
  /** A `struct mmsghdr` and what it points to. */
  const header = (address: bigint) => {
    const own = at(address, 64);
    const vector = at(own.getBigUint64(16, true), 16);
    return {
      hasName: own.getBigUint64(0, true) !== 0n,
      nameBytes: own.getUint32(8, true),
      vectors: own.getBigUint64(24, true),
      control: own.getBigUint64(32, true),
      name: () => at(own.getBigUint64(0, true), 16),
      room: Number(vector.getBigUint64(8, true)),
      content: (length: number) => at(vector.getBigUint64(0, true), length),
      came: (length: number) => own.setUint32(56, length, true),
    };
  };
  return { datagrams, header };
}

const bytesOf = (view: DataView) => Buffer.from(view.buffer, view.byteOffset, view.byteLength);

const some = fc.array(
  fc.record({
    bytes: fc.uint8Array({ maxLength: 600 }),
    address: fc.ipV4(),
    port: fc.integer({ min: 0, max: 65_535 }),
  }),
  { maxLength: count },
);

describe('datagrams', () => {
  it.each([true, false])('have room, one vector each and nothing else, with an address: %s', hasAddress => {
    const { datagrams, header } = made({ bytesEach: 65_536, hasAddress });
    for (let index = 0; index < count; index += 1)
      expect(header(datagrams.at(index))).toMatchObject({
        hasName: hasAddress,
        nameBytes: hasAddress ? 16 : 0,
        vectors: 1n,
        control: 0n,
        room: 65_536,
      });
    // One behind the other, as an array of C's.
    expect(datagrams.at(5) - datagrams.at(0)).toBe(5n * 64n);
  });

  it('tell what the kernel put there', () => {
    const { datagrams, header } = made();
    fc.assert(
      fc.property(some, came => {
        for (const [index, { bytes, address, port }] of came.entries()) {
          const { name, content, came: length } = header(datagrams.at(index));
          name().setUint16(2, port);
          bytesOf(name()).set(address.split('.').map(Number), 4);
          bytesOf(content(bytes.length)).set(bytes);
          length(bytes.length);
        }
        for (const [index, { bytes, address, port }] of came.entries()) {
          expect(datagrams.received(index)).toEqual(Buffer.from(bytes));
          expect(datagrams.receivedOf(index, bytes.length >> 1)).toEqual(
            Buffer.from(bytes.subarray(0, bytes.length >> 1)),
          );
          expect([datagrams.port(index), datagrams.address(index)]).toEqual([port, ipv4Number(address)]);
        }
      }),
    );
  });

  it('are as they were put', () => {
    const { datagrams, header } = made();
    fc.assert(
      fc.property(some, sent => {
        for (const [index, { bytes, address, port }] of sent.entries())
          expect(datagrams.put(index, Buffer.from(bytes), port, ipv4Number(address))).toBe(true);
        for (const [index, { bytes, address, port }] of sent.entries()) {
          const { name, nameBytes, vectors, room, content } = header(datagrams.at(index));
          expect({ nameBytes, vectors, room }).toEqual({ nameBytes: 16, vectors: 1n, room: bytes.length });
          expect(bytesOf(content(room))).toEqual(Buffer.from(bytes));
          expect(name().getUint16(0, true)).toBe(2);
          expect(name().getUint16(2)).toBe(port);
          expect([...bytesOf(name()).subarray(4, 8)].join('.')).toBe(address);
        }
      }),
    );
  });

  it('are as long as they may be, and no longer', () => {
    const { datagrams } = made();
    expect(datagrams.put(0, Buffer.alloc(4096), 53, 1)).toBe(true);
    expect(datagrams.put(0, Buffer.alloc(4097), 53, 1)).toBe(false);
  });
});
