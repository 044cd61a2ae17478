import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Route } from './route.ts';
import { createRouteTable } from './route-table.ts';

const route = (hostId: string, brokerId: string, connectedAt: number): Route => ({
  ...{ hostId, brokerId, connectedAt, address: `${brokerId}:1` },
});

describe('where a host is', () => {
  const table = createRouteTable('me', 10);

  it('is unknown until the routes were read once', () => {
    expect(table.where('h')).toEqual({ kind: 'unknown' });
    table.begin();
    table.load(route('h', 'b', 1));
    expect(table.where('h')).toEqual({ kind: 'unknown' });
    table.finish();
    expect(table.where('h')).toMatchObject({ kind: 'elsewhere', route: { brokerId: 'b' } });
    expect(table.where('other')).toEqual({ kind: 'nowhere' });
  });

  it('is what it was while they are read again', () => {
    table.begin();
    expect(table.where('h')).toMatchObject({ kind: 'elsewhere' });
    table.finish();
    expect(table.where('h')).toEqual({ kind: 'nowhere' });
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
  expect(table.counts()).toEqual({ here: 0, elsewhere: 2 });
});

it('is at all times what a list of the rows would say', () => {
  const host = fc.constantFrom('h1', 'h2', 'h3');
  const broker = fc.constantFrom('me', 'b1', 'b2');
  const step = fc.oneof(
    fc.record({ kind: fc.constant('put' as const), host, broker, at: fc.integer({ min: 0, max: 5 }) }),
    fc.record({ kind: fc.constant('remove' as const), host, broker }),
    fc.record({
      kind: fc.constant('reload' as const),
      rows: fc.uniqueArray(fc.record({ host, broker, at: fc.integer({ min: 0, max: 5 }) }), {
        selector: row => `${row.host} ${row.broker}`,
      }),
    }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), steps => {
      const table = createRouteTable('me', 1000);
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
            .filter(row => row.hostId === hostId)
            .toSorted((a, b) => b.connectedAt - a.connectedAt || (a.brokerId < b.brokerId ? 1 : -1))[0];
          const expected =
            newest === undefined || newest.brokerId === 'me'
              ? { kind: 'nowhere' }
              : { kind: 'elsewhere', route: newest };
          expect(table.where(hostId)).toEqual(expected);
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
      const { here, elsewhere } = table.counts();
      expect(here + elsewhere).toBe(new Set(rows.map(({ hostId }) => hostId)).size);
    }),
  );
});
