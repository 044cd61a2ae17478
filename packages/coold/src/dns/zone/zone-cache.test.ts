import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Known } from './answer.ts';
import { wireName } from './names.ts';
import { createZoneCache } from './zone-cache.ts';

const wire = wireName('coolify.internal');
const web = wireName('web.shop.coolify.internal');
const missing: Known = { kind: 'missing' };

function learning() {
  const asked: string[] = [];
  return { asked, zone: createZoneCache(wire, ['default'], name => void asked.push(name)) };
}

function later(known: Known): Promise<boolean> {
  if (known.kind !== 'later') throw new Error(`${known.kind} and not later`);
  return known.known;
}

describe('a zone cache', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it('asks once for a name, however many wait for it, and then knows it', async () => {
    const { asked, zone } = learning();
    const both = [later(zone.find(web)), later(zone.find(web))];
    expect(asked).toEqual([web]);
    zone.told([[web, missing]]);
    expect(await Promise.all(both)).toEqual([true, true]);
    expect(zone.find(web)).toBe(missing);
    zone.told([[web, { kind: 'empty' }]]);
    expect(zone.find(web)).toEqual({ kind: 'empty' });
    expect(asked).toEqual([web]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('knows its own name, and what lies outside', () => {
    const { asked, zone } = learning();
    expect(zone.find(wire)).toEqual({ kind: 'apex' });
    for (const name of ['example.com', 'xcoolify.internal', 'internal', '8.8.8.8.in-addr.arpa'])
      expect(zone.find(wireName(name))).toEqual({ kind: 'outside' });
    expect(asked).toEqual([]);
  });

  it('asks for names of its namespaces without the zone', () => {
    const { asked, zone } = learning();
    expect(zone.find(wireName('web.default')).kind).toBe('later');
    expect(asked).toEqual([wireName('web.default')]);
  });

  it('asks for the reverse names of addresses that may be of the mesh, and remembers whose they are', () => {
    const { asked, zone } = learning();
    const names = ['5.0.210.10.in-addr.arpa', '9.0.0.10.in-addr.arpa'].map(wireName);
    for (const name of names) expect(zone.find(name).kind).toBe('later');
    expect(asked).toEqual(names);
    zone.told(names.map(name => [name, { kind: 'outside' }] as const));
    for (const name of names) expect(zone.find(name)).toEqual({ kind: 'outside' });
  });

  it('asks again for names that it had to forget', () => {
    const { asked, zone } = learning();
    zone.told([[web, missing]]);
    zone.forget();
    expect(zone.find(web).kind).toBe('later');
    expect(asked).toEqual([web]);
  });

  it('waits neither for ever nor for any number of names', async () => {
    const { asked, zone } = learning();
    const first = later(zone.find(web));
    for (let count = 0; count < 2000; count += 1) zone.find(wireName(`n${count}.shop.coolify.internal`));
    expect(asked.length).toBe(1000);
    expect(await later(zone.find(wireName('more.shop.coolify.internal')))).toBe(false);
    vi.advanceTimersByTime(2000);
    expect(await first).toBe(false);
    expect(later(zone.find(web))).not.toBe(first);
    expect(asked.length).toBe(1001);
  });
});
