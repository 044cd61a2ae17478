import { expect, it } from 'vitest';
import { createContestedHosts } from './contested-hosts.ts';

it('names a host whose stream is replaced four times within ten minutes, and its addresses', () => {
  let now = 0;
  const contested = createContestedHosts(() => now);
  for (const address of ['192.0.2.1', '192.0.2.2', '192.0.2.1']) {
    now += 30_000;
    contested.replaced('a', address);
  }
  contested.replaced('b', '192.0.2.9');
  expect(contested.list()).toEqual([]);
  contested.replaced('a', '192.0.2.2');
  expect(contested.list()).toEqual([{ hostId: 'a', replacements: 4, addresses: ['192.0.2.1', '192.0.2.2'] }]);
  now += 10 * 60_000;
  expect(contested.list()).toEqual([]);
});

it('does not name a host that replaces its stream now and then', () => {
  let now = 0;
  const contested = createContestedHosts(() => now);
  for (let n = 0; n < 100; n += 1) {
    now += 4 * 60_000;
    contested.replaced('a', '192.0.2.1');
    expect(contested.list()).toEqual([]);
  }
});

it('remembers a thousand hosts at most, and few addresses of each', () => {
  const contested = createContestedHosts(() => 0);
  for (let n = 0; n < 4; n += 1) contested.replaced('first', `192.0.2.${n}`);
  for (let n = 0; n < 999; n += 1) contested.replaced(`host-${n}`, '192.0.2.1');
  expect(contested.list()).toHaveLength(1);
  for (let n = 0; n < 9; n += 1) contested.replaced('last', `192.0.2.${n}`);
  expect(contested.list()).toEqual([
    { hostId: 'last', replacements: 9, addresses: ['192.0.2.5', '192.0.2.6', '192.0.2.7', '192.0.2.8'] },
  ]);
});
