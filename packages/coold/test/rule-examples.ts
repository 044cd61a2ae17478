import fc from 'fast-check';
import { type Rule, withId } from '../src/firewall/rule/rule.ts';

const byte = fc.integer({ min: 0, max: 255 });
const address = fc.tuple(fc.integer({ min: 1, max: 223 }), byte, byte, byte).map(bytes => bytes.join('.'));
const label = fc.stringMatching(/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/);
const protocol = fc.oneof(
  fc.constant({ proto: '' as const, port: 0 }),
  fc.record({
    proto: fc.constantFrom('tcp' as const, 'udp' as const),
    port: fc.integer({ min: 0, max: 65_535 }),
  }),
);

/** Any rule that may stand, for properties. */
export const anyRule: fc.Arbitrary<Rule> = fc
  .record({ namespace: label, src: address, dst: address, protocol })
  .map(({ protocol: { proto, port }, ...flow }) => withId({ ...flow, proto, port }));

/** A rule of its own for every number, in one of two namespaces. */
export function ruleNumber(n: number): Rule {
  return withId({
    namespace: n % 3 === 0 ? 'shop' : 'default',
    src: `10.210.${(n >> 8) & 255}.${n & 255}`,
    dst: `10.211.${(n >> 16) & 255}.7`,
    proto: n % 5 === 0 ? '' : n % 2 === 0 ? 'tcp' : 'udp',
    port: n % 5 === 0 || n % 7 === 0 ? 0 : 80,
  });
}
