import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createZoneTeacher, maxTaught } from './teach-zone.ts';
import type { Holding } from './zone.ts';

const at = (...addresses: string[]): Holding => ({
  kind: 'endpoints',
  endpoints: addresses.map(address => ({ address, hostMgmtIp: '100.64.0.1', containerId: address })),
});
const missing: Holding = { kind: 'missing' };

function teaching(holdings: Record<string, Holding>) {
  const said: unknown[] = [];
  const teacher = createZoneTeacher(
    { find: name => holdings[name] ?? missing },
    { told: names => void said.push(names), forget: () => void said.push('forget') },
  );
  return { holdings, teacher, said };
}

describe('a teacher', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it('answers at once, and tells what becomes of that name and of no other', () => {
    const { holdings, teacher, said } = teaching({ web: at('10.0.0.1'), db: at('10.0.0.2') });
    teacher.asked('web');
    teacher.asked('api');
    expect(said.splice(0)).toEqual([[['web', at('10.0.0.1')]], [['api', missing]]]);
    Object.assign(holdings, { web: at('10.0.0.1', '10.0.0.3'), db: missing });
    teacher.changed();
    vi.runAllTimers();
    expect(said.splice(0)).toEqual([[['web', at('10.0.0.1', '10.0.0.3')]]]);
    teacher.changed();
    vi.runAllTimers();
    expect(said).toEqual([]);
  });

  it('tells nothing once it is closed: what it would be told by may be gone', () => {
    const { holdings, teacher, said } = teaching({ web: at('10.0.0.1') });
    teacher.asked('web');
    said.length = 0;
    teacher.close();
    holdings['web'] = missing;
    teacher.changed();
    vi.runAllTimers();
    teacher.asked('api');
    expect(said).toEqual([]);
  });

  it('tells many changes at once, none too late and none for nothing', () => {
    const { holdings, teacher, said } = teaching({ web: at('10.0.0.0') });
    teacher.asked('web');
    said.length = 0;
    for (let count = 1; count <= 1000; count += 1) {
      holdings['web'] = at(`10.0.0.${count}`);
      teacher.changed();
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
    const teacher = createZoneTeacher({ find }, { told() {}, forget() {} });
    for (let count = 0; count < 10; count += 1) teacher.asked(`n${count}`);
    const [begun, before] = [performance.now(), spent];
    while (performance.now() - begun < 60_000) {
      teacher.changed();
      vi.advanceTimersByTime(1);
    }
    expect(spent - before).toBeGreaterThan(1000);
    expect(spent - before).toBeLessThan(60_000 / 15);
    teacher.close();
  });

  it('keeps up with so many names; one more, and all of them have to be asked for again', () => {
    const { holdings, teacher, said } = teaching({});
    for (let count = 0; count < maxTaught; count += 1) teacher.asked(`n${count}`);
    expect(said).not.toContain('forget');
    said.length = 0;
    teacher.asked('web');
    expect(said).toEqual(['forget', [['web', missing]]]);
    holdings['n1'] = at('10.0.0.1');
    teacher.changed();
    vi.runAllTimers();
    expect(said.length).toBe(2);
  });

  it('says nothing any more once it is closed', () => {
    const { teacher } = teaching({});
    teacher.changed();
    teacher.close();
    expect(vi.getTimerCount()).toBe(0);
  });
});
