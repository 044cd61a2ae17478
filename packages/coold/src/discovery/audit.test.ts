import { beforeEach, describe, expect, it } from 'vitest';
import { createAudit } from './audit.ts';
import type { Endpoint } from './endpoint.ts';

const row = (containerId: string, state = 'running'): Endpoint => ({
  ...{ containerId, name: containerId, namespace: 'default', hostMgmtIp: '100.64.0.1' },
  ...{ address: '10.0.0.1', state, health: 'unknown' },
});
const byId = (...rows: Endpoint[]) => new Map(rows.map(one => [one.containerId, one]));

let told: Map<string, Endpoint>;
let isConnected: boolean;
let doubts: string[];
let audit: ReturnType<typeof createAudit>;
beforeEach(() => {
  told = byId(row('a'), row('b'));
  isConnected = true;
  doubts = [];
  audit = createAudit({
    hostMgmtIp: '100.64.0.1',
    row: id => told.get(id),
    count: () => told.size,
    isConnected: () => isConnected,
    onDoubt: why => void doubts.push(why),
  });
});

describe('the audit', () => {
  it('has no doubts where both say the same, or when it is not told, or something was just written', () => {
    for (let tick = 0; tick < 5; tick += 1) audit(byId(row('a'), row('b')), 0);
    isConnected = false;
    for (let tick = 0; tick < 5; tick += 1) audit(byId(row('a')), 0);
    isConnected = true;
    for (let tick = 0; tick < 5; tick += 1) audit(byId(row('a')), 1);
    expect(doubts).toEqual([]);
  });

  it.each([
    ['is missing', byId(row('a'), row('b'), row('c')), /c was written and is not there/],
    ['is another', byId(row('a'), row('b', 'exited')), /b is not as it was written/],
    ['is too many', byId(row('a')), /1 rows of 100.64.0.1 are there/],
  ])('doubts when a row %s two times in a row', (_, written, why) => {
    audit(written, 0);
    expect(doubts).toEqual([]);
    audit(written, 0);
    expect(doubts).toEqual([expect.stringMatching(why)]);
  });

  it('doubts less often while that does not help, and at once again afterwards', () => {
    const times = (count: number, written: Map<string, Endpoint>) => {
      doubts = [];
      for (let tick = 0; tick < count; tick += 1) audit(written, 0);
      return doubts.length;
    };
    expect(times(20, byId(row('a')))).toBe(5);
    expect(times(1, byId(row('a'), row('b')))).toBe(0);
    expect(times(2, byId(row('a')))).toBe(1);
  });
});
