import fc from 'fast-check';
import { expect, it } from 'vitest';
import { formatAddress, peerAddress } from './peer-address.ts';

it.each([
  ['broker-2.internal:6444', 'broker-2.internal', 6444],
  ['10.0.0.2:1', '10.0.0.2', 1],
  ['[fd00::2]:65535', 'fd00::2', 65_535],
])('%s is where a broker can be dialled', (text, host, port) => {
  expect(peerAddress.parse(text)).toEqual({ host, port });
});

it.each([
  ['no port', '10.0.0.2'],
  ['port 0', 'b:0'],
  ['a port that is none', 'b:65536'],
  ['four numbers that are no address', '10.0.0.256:1'],
  ['IPv6 without brackets', 'fd00::2:1'],
  ['a name in brackets', '[b]:1'],
  ['a path behind it', 'b:1/x'],
  ['a user before it', 'a@b:1'],
  ['a label of 64', `${'a'.repeat(64)}:1`],
  ['a line', 'b:1\n'],
])('%s is refused', (_, text) => expect(peerAddress.parse(text)).toBeUndefined());

it('what is written is read back', () => {
  const host = fc.oneof(fc.ipV4(), fc.constantFrom('fd00::1', '::1', 'a', 'b-1.c'));
  fc.assert(
    fc.property(host, fc.integer({ min: 1, max: 65_535 }), (host, port) => {
      expect(peerAddress.parse(formatAddress({ host, port }))).toEqual({ host, port });
    }),
  );
});
