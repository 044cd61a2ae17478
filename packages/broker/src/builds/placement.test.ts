import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type BuilderHost, buildPlaces, placeBuild } from './placement.ts';

const host = (hostId: string, builderCapacity = 2, schemaMax = 2, capabilities = ['coold', 'builder']) => ({
  hostId,
  builderCapacity,
  schemaMax,
  capabilities,
});
const place = (
  hosts: BuilderHost[],
  load: Record<string, number> = {},
  options: { pin?: string; schema?: number } = {},
) => {
  const { pin, schema = 1 } = options;
  const placement = placeBuild({ hosts, pin, schema, type: 'some_build', load: id => load[id] ?? 0 });
  return placement.kind === 'placed' ? placement.host.hostId : `${placement.code} ${placement.message}`;
};

describe('a build that no host is named for goes', () => {
  it.each<[string, BuilderHost[], Record<string, number>, string]>([
    ['where most places are free', [host('a', 2), host('b', 4)], { b: 1 }, 'b'],
    ['not where more run, though less is used', [host('a', 2), host('b', 8)], { b: 7 }, 'a'],
    ['of equals, to the id that sorts first', [host('b'), host('a'), host('c')], {}, 'a'],
    ['into the shortest queue when all are full', [host('a', 1), host('b', 1)], { a: 3, b: 2 }, 'b'],
    ['to a builder, however idle the others are', [host('a', 9, 2, ['coold']), host('b')], { b: 5 }, 'b'],
    ['to a host that does not say how much it takes, when no other is free', [host('a', 0)], {}, 'a'],
  ])('%s', (_, hosts, load, expected) => {
    expect(place(hosts, load)).toBe(expected);
    expect(place(hosts.toReversed(), load), 'in whatever order they came').toBe(expected);
  });

  it('nowhere when there is none', () => {
    const message = '503 no builder-capable host connected';
    expect(place([])).toBe(message);
    expect(place([host('a', 2, 2, ['coold'])])).toBe(message);
  });
});

describe('a host that is named', () => {
  it('gets it, full or not', () => {
    expect(place([host('a'), host('b')], { b: 99 }, { pin: 'b' })).toBe('b');
  });

  it('must be there and be a builder', () => {
    const message = '503 host has no builder capability';
    expect(place([host('a')], {}, { pin: 'unknown' })).toBe(message);
    expect(place([host('a'), host('b', 2, 2, ['coold'])], {}, { pin: 'b' })).toBe(message);
  });
});

describe('a build of schema 2', () => {
  it('goes to a host that speaks it', () => {
    expect(place([host('a', 9, 1), host('b', 1)], {}, { schema: 2 })).toBe('b');
  });

  it('is 501 with both versions where none does', () => {
    expect(place([host('a', 9, 1)], {}, { schema: 2 })).toBe(
      '501 some_build needs schema 2, the connected builders speak up to 1',
    );
    expect(place([host('a', 9, 1), host('b')], {}, { schema: 2, pin: 'a' })).toBe(
      '501 some_build needs schema 2, host a speaks up to 1',
    );
  });
});

it('builds that come one after another fill all places before one is queued', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 5 }), { minLength: 1, maxLength: 8 }), capacities => {
      const hosts = capacities.map((capacity, n) => host(`h${n}`, capacity));
      const load: Record<string, number> = {};
      const places = capacities.reduce((sum, capacity) => sum + capacity, 0);
      for (let n = 0; n < places; n += 1) {
        const id = place(hosts, load);
        load[id] = (load[id] ?? 0) + 1;
      }
      expect(hosts.map(({ hostId }) => load[hostId] ?? 0)).toEqual(capacities);
    }),
  );
});

it('no host gets more than its share of all builds by its places, however many it claims', () => {
  const capacities = fc.array(fc.integer({ min: 1, max: 64 }), { minLength: 1, maxLength: 8 });
  fc.assert(
    fc.property(capacities, fc.integer({ min: 1, max: 300 }), (sizes, builds) => {
      const hosts = sizes.map((capacity, n) => host(`h${n}`, capacity));
      const places = sizes.reduce((sum, capacity) => sum + capacity, 0);
      const load: Record<string, number> = {};
      for (let n = 1; n <= builds; n += 1) {
        const id = place(hosts, load);
        load[id] = (load[id] ?? 0) + 1;
        for (const { hostId, builderCapacity } of hosts)
          expect(load[hostId] ?? 0).toBeLessThanOrEqual(Math.ceil((n * builderCapacity) / places));
      }
    }),
    { numRuns: 50 },
  );
});

it('what a host has beyond its places is queued', () => {
  expect(buildPlaces({ builderCapacity: 2 }, 1)).toEqual({ running: 1, queued: 0 });
  expect(buildPlaces({ builderCapacity: 2 }, 5)).toEqual({ running: 2, queued: 3 });
});
