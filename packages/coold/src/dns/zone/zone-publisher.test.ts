import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Holding } from './zone.ts';
import { createZonePublisher, maxPublished } from './zone-publisher.ts';

const at = (...addresses: string[]): Holding => ({
  kind: 'endpoints',
  endpoints: addresses.map(address => ({ address, hostMgmtIp: '100.64.0.1', containerId: address })),
});
const missing: Holding = { kind: 'missing' };

function teaching(holdings: Record<string, Holding>) {
  const said: unknown[] = [];
  const publisher = createZonePublisher(
    { find: name => holdings[name] ?? missing },
    { told: names => void said.push(names), forget: () => void said.push('forget') },
  );
  return { holdings, publisher, said };
}

describe('a zone publisher', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it('answers at once, and publishes later changes of that name and of no other', () => {
    const { holdings, publisher, said } = teaching({ web: at('10.0.0.1'), db: at('10.0.0.2') });
    publisher.asked('web');
    publisher.asked('api');
    expect(said.splice(0)).toEqual([[['web', at('10.0.0.1')]], [['api', missing]]]);
    Object.assign(holdings, { web: at('10.0.0.1', '10.0.0.3'), db: missing });
    publisher.changed();
    vi.runAllTimers();
    expect(said.splice(0)).toEqual([[['web', at('10.0.0.1', '10.0.0.3')]]]);
    publisher.changed();
    vi.runAllTimers();
    expect(said).toEqual([]);
  });

  it('publishes nothing after it was closed', () => {
    const { holdings, publisher, said } = teaching({ web: at('10.0.0.1') });
    publisher.asked('web');
    said.length = 0;
    publisher.close();
    holdings['web'] = missing;
    publisher.changed();
    vi.runAllTimers();
    publisher.asked('api');
    expect(said).toEqual([]);
  });

  it('publishes many changes together, none too late and none without need', () => {
    const { holdings, publisher, said } = teaching({ web: at('10.0.0.0') });
    publisher.asked('web');
    said.length = 0;
    for (let count = 1; count <= 1000; count += 1) {
      holdings['web'] = at(`10.0.0.${count}`);
      publisher.changed();
      vi.advanceTimersByTime(1);
    }
    vi.runAllTimers();
    expect(said.length).toBeLessThan(60);
    expect(said.at(-1)).toEqual([['web', at('10.0.0.1000')]]);
  });

  it('looks the less often the longer a look takes: it is one of many things that its thread does', () => {
    let spent = 0;
    const find = () => {
      spent += 1;
      vi.advanceTimersByTime(1);
      return missing;
    };
    const publisher = createZonePublisher({ find }, { told() {}, forget() {} });
    for (let count = 0; count < 10; count += 1) publisher.asked(`n${count}`);
    const [begun, before] = [performance.now(), spent];
    while (performance.now() - begun < 60_000) {
      publisher.changed();
      vi.advanceTimersByTime(1);
    }
    expect(spent - before).toBeGreaterThan(1000);
    expect(spent - before).toBeLessThan(60_000 / 15);
    publisher.close();
  });

  it('keeps up with so many names; one more, and all of them have to be asked for again', () => {
    const { holdings, publisher, said } = teaching({});
    for (let count = 0; count < maxPublished; count += 1) publisher.asked(`n${count}`);
    expect(said).not.toContain('forget');
    said.length = 0;
    publisher.asked('web');
    expect(said).toEqual(['forget', [['web', missing]]]);
    holdings['n1'] = at('10.0.0.1');
    publisher.changed();
    vi.runAllTimers();
    expect(said.length).toBe(2);
  });

  it('says nothing any more once it is closed', () => {
    const { publisher } = teaching({});
    publisher.changed();
    publisher.close();
    expect(vi.getTimerCount()).toBe(0);
  });
});
