import { expect, it } from 'vitest';
import { askFor } from '../../../test/dns-questions.ts';
import { readQuery } from '../wire.ts';
import { questionKey } from './question-key.ts';

function key(packet: Buffer): string | undefined {
  const received = readQuery(packet);
  if (received.kind !== 'query') throw new Error(received.kind);
  return questionKey(received.query);
}

/** With bits set at a place. */
function withBits(packet: Buffer, at: number, bits: number): Buffer {
  const changed = Buffer.from(packet);
  changed[at] = (changed[at] ?? 0) | bits;
  return changed;
}

const plain = askFor('example.com', 1);
const edns = askFor('example.com', 1, 1232);
const flagsAt = edns.length - 4;

it('is the same whatever the id, the case of the name and the size', () => {
  expect(key(askFor('Example.COM', 1))).toBe(key(plain));
  expect(key(askFor('example.com', 1, 4096))).toBe(key(edns));
});

it('differs by all that an answer depends on', () => {
  const packets = [
    plain,
    edns,
    askFor('www.example.com', 1),
    askFor('example.com', 28),
    withBits(plain, 3, 0x10), // CD
    withBits(plain, 3, 0x20), // AD
    withBits(edns, flagsAt, 0x80), // DO
    withBits(withBits(edns, flagsAt, 0x80), 3, 0x10),
  ];
  const keys = packets.map(key);
  expect(keys).not.toContain(undefined);
  expect(new Set(keys).size).toBe(packets.length);
});

it('is none where the answer is for this query alone', () => {
  const cookie = Buffer.concat([edns, Buffer.from([0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8])]);
  cookie.writeUInt16BE(12, edns.length - 2);
  const notRecursive = Buffer.from(plain);
  notRecursive[2] = 0;
  for (const packet of [cookie, notRecursive, askFor('example.com', 255), askFor('example.com', 250)])
    expect(key(packet)).toBeUndefined();
  expect(key(withBits(plain, 3, 0x40))).toBeUndefined();
  expect(key(withBits(edns, flagsAt, 0x40))).toBeUndefined();
  expect(key(Buffer.concat([plain, Buffer.alloc(3)]))).toBeUndefined();
});
