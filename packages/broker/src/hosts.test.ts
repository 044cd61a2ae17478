import { expect, it } from 'vitest';
import { createHosts, type HostStream } from './hosts.ts';

const stream = (hostId: string): HostStream => ({
  hostId,
  tokenId: undefined,
  tokenExpiresAt: Number.POSITIVE_INFINITY,
  capabilities: ['coold'],
  builderCapacity: 0,
  cooldVersion: '1',
  schemaMax: 2,
  connectedAt: new Date(0),
  send: () => true,
  sendOwed: () => {},
  close: () => {},
});

it('a second stream replaces the first, and says which that was', () => {
  const hosts = createHosts();
  const [first, second] = [stream('a'), stream('a')];
  expect(hosts.add(first)).toBeUndefined();
  expect(hosts.add(second)).toBe(first);
  expect(hosts.get('a')).toBe(second);
  expect(hosts.list()).toEqual([second]);
});

it('the late close of a replaced stream does not remove its successor', () => {
  const hosts = createHosts();
  const [first, second] = [stream('a'), stream('a')];
  hosts.add(first);
  hosts.add(second);
  expect(hosts.remove(first)).toBe(false);
  expect(hosts.get('a')).toBe(second);
  expect(hosts.remove(second)).toBe(true);
  expect(hosts.remove(second)).toBe(false);
  expect(hosts.get('a')).toBeUndefined();
});
