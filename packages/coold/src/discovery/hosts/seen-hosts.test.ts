import { beforeEach, describe, expect, it } from 'vitest';
import { createSeenHosts, type SeenHosts } from './seen-hosts.ts';

const minute = 60_000;
const ttl = 20 * minute;

describe('a host of the mesh', () => {
  let at: number;
  let hosts: SeenHosts;
  beforeEach(() => {
    at = 0;
    hosts = createSeenHosts(ttl, () => at);
    hosts.begin();
    hosts.seen('a', 1);
    hosts.seen('b', 1);
    hosts.finish();
    hosts.connected(true);
  });
  const gone = () => [...hosts.gone()];

  it('is gone when its row has not changed for too long, and back with its next change', () => {
    at = 19 * minute;
    hosts.seen('b', 2);
    expect(gone()).toEqual([]);
    expect(hosts.nextIn()).toBe(minute);
    at = 20 * minute;
    expect(gone()).toEqual(['a']);
    expect([hosts.isSeen('a'), hosts.isSeen('b'), hosts.isSeen('c')]).toEqual([false, true, false]);
    hosts.seen('a', 2);
    expect(gone()).toEqual([]);
  });

  it('does not age while no changes are received', () => {
    at = 10 * minute;
    hosts.connected(false);
    expect(hosts.nextIn()).toBeUndefined();
    at = 500 * minute;
    expect(gone()).toEqual([]);
    hosts.connected(true);
    expect(hosts.nextIn()).toBe(10 * minute);
    at = 510 * minute;
    expect(gone()).toEqual(['a', 'b']);
  });

  it('is not seen again by the same row in another load', () => {
    at = 15 * minute;
    hosts.begin();
    hosts.seen('a', 1);
    hosts.seen('b', 9);
    hosts.finish();
    at = 20 * minute;
    expect(gone()).toEqual(['a']);
  });

  it('without a row is neither seen nor gone', () => {
    at = 15 * minute;
    hosts.begin();
    hosts.seen('b', 1);
    hosts.finish();
    hosts.forget('b');
    at = 100 * minute;
    expect(gone()).toEqual([]);
    expect(hosts.nextIn()).toBeUndefined();
  });

  it('counts from when it came, whatever the clock of the host says', () => {
    at = 5 * minute;
    hosts.seen('c', -1e15);
    at = 24 * minute;
    expect(gone()).toEqual(['a', 'b']);
    at = 25 * minute;
    expect(gone()).toEqual(['a', 'b', 'c']);
  });
});
