import { expect, it } from 'vitest';
import { fakeHostStream } from '../../test/host-stream.ts';
import { createHosts } from './hosts.ts';

it('a second stream replaces the first, and says which that was', () => {
  const hosts = createHosts();
  const [first, second] = [fakeHostStream('a'), fakeHostStream('a')];
  expect(hosts.add(first)).toBeUndefined();
  expect(hosts.add(second)).toBe(first);
  expect(hosts.get('a')).toBe(second);
  expect(hosts.list()).toEqual([second]);
});

it('the late close of a replaced stream does not remove its successor', () => {
  const hosts = createHosts();
  const [first, second] = [fakeHostStream('a'), fakeHostStream('a')];
  hosts.add(first);
  hosts.add(second);
  expect(hosts.remove(first)).toBe(false);
  expect(hosts.get('a')).toBe(second);
  expect(hosts.remove(second)).toBe(true);
  expect(hosts.remove(second)).toBe(false);
  expect(hosts.get('a')).toBeUndefined();
});
