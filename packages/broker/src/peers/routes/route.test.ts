import { expect, it } from 'vitest';
import { readRoute } from './route.ts';

const now = 1_000_000_000_000;
const good = ['h1', 'b1', '10.0.0.1:6444', now];

it('reads a row', () => {
  expect(readRoute(good, now)).toEqual({
    hostId: 'h1',
    brokerId: 'b1',
    address: '10.0.0.1:6444',
    connectedAt: now,
  });
});

it.each<[string, number, unknown]>([
  ['host_id', 0, 7],
  ['host_id', 0, 'a\nb'],
  ['host_id', 0, 'x'.repeat(10_000)],
  ['broker_id', 1, ''],
  ['broker_id', 1, null],
  ['address', 2, '10.0.0.1'],
  ['address', 2, 'http://10.0.0.1:1'],
  ['connected_at', 3, '5'],
  ['connected_at', 3, -1],
  ['connected_at', 3, 1.5],
  ['connected_at', 3, now + 3_600_001],
])('%s is checked', (column, index, value) => {
  expect(() => readRoute(good.with(index, value as string), now)).toThrow(column);
});
