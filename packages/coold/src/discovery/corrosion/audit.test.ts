import { beforeEach, describe, expect, it } from 'vitest';
import type { Endpoint } from '../endpoint.ts';
import { createAudit } from './audit.ts';

const row = (containerId: string, state = 'running'): Endpoint => ({
  containerId,
  name: containerId,
  namespace: 'default',
  hostMgmtIp: '100.64.0.1',
  address: '10.0.0.1',
  state,
  health: 'unknown',
});
const byId = (...rows: Endpoint[]) => new Map(rows.map(one => [one.containerId, one]));

let told: Map<string, Endpoint>;
let isConnected: boolean;
let doubts: { at: number; why: string }[];
let at: number;
let audit: ReturnType<typeof createAudit>;
/** Looks once a second. */
const look = (written: Map<string, Endpoint>, seconds = 1) => {
  for (let second = 0; second < seconds; second += 1) {
    at += 1000;
    audit(written);
  }
};
beforeEach(() => {
  told = byId(row('a'), row('b'));
  isConnected = true;
  doubts = [];
  at = 0;
  audit = createAudit({
    row: id => told.get(id),
    count: () => told.size,
    containers: () => told.keys(),
    isConnected: () => isConnected,
    onDoubt: why => void doubts.push({ at, why }),
    now: () => at,
  });
});

describe('the audit', () => {
  it('finds nothing when both agree, and while changes are not reported', () => {
    look(byId(row('a'), row('b')), 10);
    isConnected = false;
    const differing = byId(row('a'));
    look(differing, 10);
    isConnected = true;
    // What it was told may be older than the connection: it has its time again.
    look(differing, 5);
    expect(doubts).toEqual([]);
  });

  it.each([
    ['is missing', byId(row('a'), row('b'), row('c')), /c was written and is not there/],
    ['is another', byId(row('a'), row('b', 'exited')), /b is not as it was written/],
    ['is too many', byId(row('a')), /b is there and was not written/],
  ])('doubts when a row %s for 5 seconds', (_, written, why) => {
    look(written, 5);
    expect(doubts).toEqual([]);
    look(written);
    expect(doubts).toEqual([{ at: 6000, why: expect.stringMatching(why) as string }]);
  });

  it('finds a surplus row as well as a missing one', () => {
    look(byId(row('a'), row('c')), 6);
    expect(doubts).toHaveLength(1);
    told = byId(row('a'), row('b'), row('c'));
    look(byId(row('a'), row('c')), 11);
    expect(doubts[1]?.why).toMatch(/b is there and was not written/);
  });

  it('ignores a change per second that is always reported a little late, each time of another row', () => {
    const names = ['a', 'b', 'c', 'd', 'e', 'f'];
    const written = byId(...names.map(name => row(name)));
    told = new Map(written);
    for (let second = 0; second < 60; second += 1) {
      const name = names[second % names.length] ?? '';
      const changed = row(name, second % 2 === 0 ? 'exited' : 'running');
      written.set(name, changed);
      look(written);
      told = new Map(written);
    }
    expect(doubts).toEqual([]);
  });

  it('ignores a row that is written every second and never reported in time', () => {
    const written = byId(row('a'), row('b'));
    for (let second = 0; second < 60; second += 1) {
      written.set('b', row('b', second % 2 === 0 ? 'exited' : 'running'));
      told = byId(row('a'), row('b', 'starting'));
      look(written);
    }
    expect(doubts).toEqual([]);
    look(written, 5);
    expect(doubts).toHaveLength(1);
  });

  it('doubts a row in time although others are written all the while', () => {
    const written = byId(row('a', 'exited'), row('b'));
    for (let second = 0; second < 6; second += 1) {
      written.set('b', row('b', second % 2 === 0 ? 'exited' : 'running'));
      told.set('b', row('b', second % 2 === 0 ? 'running' : 'exited'));
      look(written);
    }
    expect(doubts).toEqual([{ at: 6000, why: 'the row of container a is not as it was written' }]);
  });

  it('doubts less often while that does not help, and at once again afterwards', () => {
    const differing = byId(row('a'));
    look(differing, 250);
    expect(doubts.map(one => one.at / 1000)).toEqual([6, 17, 38, 79, 120, 161, 202, 243]);
    look(byId(row('a'), row('b')));
    doubts = [];
    look(differing, 6);
    expect(doubts).toHaveLength(1);
  });
});
