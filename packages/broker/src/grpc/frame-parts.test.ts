import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { ListValueSchema, NullValue, ValueSchema } from '@bufbuild/protobuf/wkt';
import { ClientMsgSchema, ListContainersRespSchema } from '@coold/proto';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { createPartsCounter } from './frame-parts.ts';

const count = createPartsCounter(ListContainersRespSchema);
const encode = (containers: { id?: string; networks?: string[] }[]) =>
  toBinary(ListContainersRespSchema, create(ListContainersRespSchema, { containers }));

it('counts messages, elements of lists and what is not known, and no single values', () => {
  fc.assert(
    fc.property(fc.array(fc.record({ id: fc.string(), networks: fc.array(fc.string()) })), containers => {
      const networks = containers.flatMap(container => container.networks).length;
      expect(count(encode(containers), 1e6)).toBe(containers.length + networks);
    }),
  );
  expect(count(Uint8Array.of(0xf8, 0x3f, 1, 0xf8, 0x3f, 1), 1e6)).toBe(2);
});

it('stops where it is too many', () => {
  expect(count(encode(Array.from({ length: 50 }, () => ({}))), 10)).toBe(11);
});

it('takes messages that lie too deep for too many', () => {
  let nested = create(ValueSchema, { kind: { case: 'nullValue', value: NullValue.NULL_VALUE } });
  for (let depth = 0; depth < 300; depth += 1) {
    const value = create(ListValueSchema, { values: [nested] });
    nested = create(ValueSchema, { kind: { case: 'listValue', value } });
  }
  expect(createPartsCounter(ValueSchema)(toBinary(ValueSchema, nested), 10_000)).toBeGreaterThan(10_000);
});

it('ends on any bytes, and never reports fewer parts than a readable message has', () => {
  const ofClient = createPartsCounter(ClientMsgSchema);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), bytes => {
      const parts = ofClient(bytes, 1e6);
      expect(parts).toBeLessThanOrEqual(bytes.length);
      let unknown = 0;
      try {
        unknown = fromBinary(ClientMsgSchema, bytes).$unknown?.length ?? 0;
      } catch {
        return; // none
      }
      expect(parts).toBeGreaterThanOrEqual(unknown);
    }),
    { numRuns: 2000 },
  );
});
