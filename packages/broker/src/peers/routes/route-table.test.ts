import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Route } from './route.ts';
import { createRouteTable } from './route-table.ts';

const route = (hostId: string, brokerId: string, connectedAt: number): Route => ({
  hostId,
  brokerId,
  connectedAt,
  address: `${brokerId}:1`,
});

describe('where a host is', () => {
  const table = createRouteTable('me', 10);

  it('is unknown until the routes were read once', () => {
    expect(table.locate('h')).toEqual({ kind: 'unknown' });
    table.begin();
    table.load(route('h', 'b', 1));
    expect(table.locate('h')).toEqual({ kind: 'unknown' });
    table.finish();
    expect(table.locate('h')).toMatchObject({ kind: 'other broker', route: { brokerId: 'b' } });
    expect(table.locate('other')).toEqual({ kind: 'nowhere' });
  });

  it('is what it was while they are read again', () => {
    table.begin();
    expect(table.locate('h')).toMatchObject({ kind: 'other broker' });
    table.finish();
    expect(table.locate('h')).toEqual({ kind: 'nowhere' });
  });
});

it('what does not fit is left out, and what is known is kept', () => {
  const table = createRouteTable('me', 2);
  table.begin();
  table.finish();
  expect(table.put(route('a', 'b', 1))).toBe(true);
  expect(table.put(route('a', 'c', 2))).toBe(true);
  expect(table.put(route('d', 'b', 3))).toBe(false);
  expect(table.put(route('a', 'c', 4))).toBe(true);
  table.remove('a', 'b');
  expect(table.put(route('d', 'b', 5))).toBe(true);
  expect(table.counts()).toEqual({ here: 0, elsewhere: 2, lapsed: 0 });
  expect([...table.brokers()]).toEqual([
    { brokerId: 'c', address: 'c:1', routes: 1 },
    { brokerId: 'b', address: 'b:1', routes: 1 },
  ]);
});

it('is at all times what a list of the rows would say', () => {
  const host = fc.constantFrom('h1', 'h2', 'h3');
  const broker = fc.constantFrom('me', 'b1', 'b2');
  const step = fc.oneof(
    fc.record({ kind: fc.constant('put' as const), host, broker, at: fc.integer({ min: 0, max: 5 }) }),
    fc.record({ kind: fc.constant('remove' as const), host, broker }),
    fc.record({
      kind: fc.constant('life' as const),
      broker: fc.constantFrom('b1', 'b2'),
      isDead: fc.boolean(),
    }),
    fc.record({
      kind: fc.constant('reload' as const),
      rows: fc.uniqueArray(fc.record({ host, broker, at: fc.integer({ min: 0, max: 5 }) }), {
        selector: row => `${row.host} ${row.broker}`,
      }),
    }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), steps => {
      const dead = new Set<string>();
      const table = createRouteTable('me', 1000, brokerId => dead.has(brokerId));
      table.begin();
      table.finish();
      let rows: Route[] = [];
      const drop = (hostId: string, brokerId: string) => {
        rows = rows.filter(row => row.hostId !== hostId || row.brokerId !== brokerId);
      };
      for (const s of steps) {
        switch (s.kind) {
          case 'put':
            drop(s.host, s.broker);
            rows.push(route(s.host, s.broker, s.at));
            table.put(route(s.host, s.broker, s.at));
            break;
          case 'life':
            if (s.isDead) dead.add(s.broker);
            else dead.delete(s.broker);
            break;
          case 'remove':
            drop(s.host, s.broker);
            table.remove(s.host, s.broker);
            break;
          case 'reload':
            rows = s.rows.map(row => route(row.host, row.broker, row.at));
            table.begin();
            for (const row of rows) table.load(row);
            table.finish();
        }
        for (const hostId of ['h1', 'h2', 'h3']) {
          const newest = rows
            .filter(row => row.hostId === hostId && !dead.has(row.brokerId))
            .toSorted((a, b) => b.connectedAt - a.connectedAt || (a.brokerId < b.brokerId ? 1 : -1))[0];
          const expected =
            newest === undefined || newest.brokerId === 'me'
              ? { kind: 'nowhere' }
              : { kind: 'other broker', route: newest };
          expect(table.locate(hostId)).toEqual(expected);
        }
        expect(
          table
            .own()
            .map(({ hostId }) => hostId)
            .toSorted(),
        ).toEqual(
          rows
            .filter(row => row.brokerId === 'me')
            .map(({ hostId }) => hostId)
            .toSorted(),
        );
      }
      const { here, elsewhere, lapsed } = table.counts();
      expect(here + elsewhere + lapsed).toBe(new Set(rows.map(({ hostId }) => hostId)).size);
      const alive = rows.filter(({ brokerId }) => !dead.has(brokerId));
      expect(here + elsewhere).toBe(new Set(alive.map(({ hostId }) => hostId)).size);
      const routes = Map.groupBy(rows, ({ brokerId }) => brokerId);
      expect(new Map([...table.brokers()].map(one => [one.brokerId, one.routes]))).toEqual(
        new Map([...routes].map(([brokerId, theirs]) => [brokerId, theirs.length])),
      );
    }),
  );
});

it('does not lead to a dead broker, but to the one that had the host before, and back as soon as it lives', () => {
  const dead = new Set(['b2']);
  const table = createRouteTable('me', 10, brokerId => dead.has(brokerId));
  table.begin();
  table.finish();
  table.put(route('h', 'b1', 1));
  table.put(route('h', 'b2', 2));
  table.put(route('only', 'b2', 2));
  expect(table.locate('h')).toMatchObject({ kind: 'other broker', route: { brokerId: 'b1' } });
  expect(table.locate('only')).toEqual({ kind: 'nowhere' });
  expect(table.ofOthers('h'), 'a claim of this broker must still be later').toMatchObject({ connectedAt: 2 });
  expect(table.counts()).toEqual({ here: 0, elsewhere: 1, lapsed: 1 });
  dead.clear();
  expect(table.locate('only')).toMatchObject({ kind: 'other broker', route: { brokerId: 'b2' } });
});
