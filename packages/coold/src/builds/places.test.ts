import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createPlaces } from './places.ts';

describe('places', () => {
  it('are given in the order of arrival, and again when they are left', () => {
    const places = createPlaces(2);
    for (const id of ['a', 'b', 'c', 'd']) places.enter(id);
    expect(places.admit()).toEqual(['a', 'b']);
    expect(places.waiting()).toEqual(['c', 'd']);
    expect(places.admit()).toEqual([]);
    places.leave('c');
    places.leave('a');
    expect(places.admit()).toEqual(['d']);
  });

  it('are never more than configured, whatever was running before', () => {
    const action = fc.tuple(fc.constantFrom('enter', 'seat', 'leave', 'admit'), fc.nat(9));
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 4 }), fc.array(action), (capacity, actions) => {
        const places = createPlaces(capacity);
        const known = new Set<string>();
        for (const [what, n] of actions) {
          const id = `b${n}`;
          if (what === 'leave') {
            places.leave(id);
            known.delete(id);
          } else if (what === 'admit') {
            const before = places.running();
            const admitted = places.admit();
            if (admitted.length > 0) expect(places.running()).toBeLessThanOrEqual(capacity);
            expect(places.running()).toBe(before + admitted.length);
            expect(places.running() >= capacity || places.waiting().length === 0).toBe(true);
          } else if (!known.has(id)) {
            known.add(id);
            if (what === 'enter') places.enter(id);
            else places.seat(id);
          }
          expect(places.running() + places.waiting().length).toBe(known.size);
        }
      }),
    );
  });
});
